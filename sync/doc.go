// Package fleetsync is the folder sync/: its name is fleetsync because the
// name sync belongs to the standard library.
//
// It brings the fleet's documents and modules to this device, and puts them
// into a registry. An App document says what runs, a Fleet document says on
// which devices; both are signed (package trust) and travel in one OCI artefact,
// in any OCI registry or in an OCI image layout (a directory).
//
// It promises: only what the fleet's keys signed is used, and only that is
// published; every byte is checked against its digest and size before it is
// used; a registry that is away, damaged, wrong or hostile never stops what
// runs; an older publication than the newest seen is refused; a document that
// asks for something this release does not do is refused with a sentence, with
// its file and line.
package fleetsync

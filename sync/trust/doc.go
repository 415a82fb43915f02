// Package trust keeps and checks the signatures over a fleet's documents: a
// repository of The Update Framework (TUF, https://theupdateframework.github.io/specification/)
// whose targets are small documents. It knows files by their names and bytes, and
// nothing of where they come from.
//
// A device calls [Verify] with the root it was made with and what it kept. It
// accepts only what is signed by enough of the fleet's present keys, belongs
// together, is no older than what it accepted before, and has not expired. A
// publisher calls [New] or [Load], changes documents, and calls Sign.
//
// The files, all JSON, keys ed25519, consistent snapshots, documents without a
// hash in their names:
//
//	1.root.json …     who signs what; each signed by its predecessor's keys too; never deleted
//	timestamp.json    version, size and hash of the snapshot; "x-issued": when it was signed
//	7.snapshot.json   the same of targets and fleet
//	3.targets.json    size and hash of apps/<name>/<version>.json; who signs fleet.json
//	5.fleet.json      size and hash of fleet.json
//	fleet.json, apps/<name>/<version>.json    the documents
//
// Roles carry "x-names", the names of their keys' files. Other TUF clients pass
// over the two fields with x-.
//
// At most: root 64 KiB, timestamp 16 KiB, the others and each document 1 MiB, 256
// new roots in one look.
//
// A key file <name>.pem holds PKCS #8, or, in a block ENCRYPTED SKERRY PRIVATE KEY
// with the header Public-Key (hex), PKCS #8 sealed with a passphrase as
// go-securesystemslib/encrypted does.
package trust

// Command dist makes what is published of a release: for each platform an archive with
// the stripped program and what belongs to it, for Debian a package, and for all of
// them what they are made of, under which licences, and checksums.
//
// It promises the same bytes for the same sources, version and Go release, in
// whatever folder, on whatever day: times are those of the commit.
package main

// Package store keeps everything durable: a journal, which is the commit
// point, and one Badger database, to which the journal is applied behind it.
//
// A frame that Commit acknowledged survives power loss as a whole; a frame
// that failed is not there after a restart, unless the machine stopped before
// the next commit. Damage is skipped, counted and reported, never wiped and
// never passed off as an empty store. README.md describes every byte on disk.
package store

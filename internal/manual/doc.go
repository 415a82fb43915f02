// Package manual tests the documentation: the commands of the quickstart and of
// the tutorial are run, one block after the other as a reader would, and what
// they print is compared with what the reader is told.
package manual

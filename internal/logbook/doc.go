// Package logbook stands between those who log and where their lines go: the
// process's own log, a ring in memory for whoever looks, and batches that travel
// up. It never blocks for a reader, writes nothing to the disk by itself, and
// holds a bounded number of bytes however much is logged.
//
// Runs of the same line are folded: the first is shown at once, those that follow
// within Window are counted, and the last of them is shown with the count when
// the window ends. So neither the first nor the last is lost, and a function that
// is broken cannot flood the journal of the device.
package logbook

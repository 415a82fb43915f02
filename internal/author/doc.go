// Package author is for who writes functions: it makes projects of templates, and
// builds modules from what lies beside them.
//
// It promises: nothing is downloaded; a module is replaced as a whole or not at
// all; the same source gives the same bytes in whatever folder it lies; a module
// knows what it was built from, so that clocks and checkouts never make it look old
// or new; a compiler that is missing is named with the command that installs it.
package author

// Package tidy tests the tree itself: who imports whom, that packages say what
// they are for, that tests wait for facts and not for the clock, that
// functions stay short and links lead somewhere. It holds no other code.
package tidy

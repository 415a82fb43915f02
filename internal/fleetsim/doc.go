// Package fleetsim rehearses a rollout: many devices in one process, each with
// the product's own puller, that follow one repository over links that break and
// are away. Time is the simulation's own: a day passes in seconds.
//
// What is simulated is the devices' functions (how many events they take, and how
// many fail), their links, and the clock. Documents, signatures, downloads,
// selection, percentages, health gates and the return to what ran before are the
// product's.
package fleetsim

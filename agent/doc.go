// Package agent decides which function runs for which event, and makes each
// run a transaction: what a function wrote, published and asked for takes
// effect together with the acknowledgement of the event, or not at all.
//
// It owns the words every other room uses (Event, Trigger, Function,
// Invocation, Effects, Record, Frame, Deployment) and the ports through which
// it reaches them (Source, Loader, Module, Store, Predicate). It imports the
// standard library and errgroup only; the rooms around it import agent.
package agent

package main

// settled tells that what runs is all that belongs here. Without a registry nobody says so.
func (d *device) settled() bool { return d.puller != nil && d.puller.Settled() }

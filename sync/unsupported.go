package fleetsync

// notSupported gives the keys that the document format reserves, or that other
// systems have, the sentence that a document using them is refused with. They
// are never skipped in silence: an app must not run with less than it asked
// for, nor be granted more.
var notSupported = map[string]string{
	"App.requires":           "requirements are not checked by this release: remove it, and assign the app to devices that fit",
	"AppModule.patches":      "patches are not supported by this release: remove it, devices fetch the whole module",
	"AppFunction.abi":        "the ABI is detected from the module: remove it",
	"AppFunction.entrypoint": "the entry point is detected from the module: remove it",
	"AppPermissions.kv":      "state needs no permission: remove it, every function has its own, and shares the keys that begin with / with its app",
	"AppPermissions.hosts":   "hosts are granted by http: write http: [api.example.com]",
	"AppPermissions.paths":   "files of the device are not supported by this release: remove it",
	"AppTrigger.http":        "HTTP triggers are not supported by this release: use mqtt or schedule",
	"AppTrigger.batch":       "batches are not supported by this release: remove it, each event is one invocation",
	"FleetSync.keepVersions": "this release always keeps the running set and the one before it: remove it",
	"Assignment.health":      "health gates are not supported by this release: remove it and raise percent by hand",
	"Assignment.notBefore":   "start times are not supported by this release: remove it and publish when it is time",
}

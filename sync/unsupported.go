package fleetsync

// notSupported gives the keys that the document format reserves, or that other
// systems have, the sentence that a document using them is refused with. They
// are never skipped in silence: an app must not run with less than it asked
// for, nor be granted more.
var notSupported = map[string]string{
	"AppFunction.abi":        "the ABI is detected from the module: remove it",
	"AppFunction.entrypoint": "the entry point is detected from the module: remove it",
	"AppPermissions.kv":      "state needs no permission: remove it, every function has its own, and shares the keys that begin with / with its app",
	"AppPermissions.hosts":   "hosts are granted by http: write http: [api.example.com]",
	"AppPermissions.paths":   "files of the device are not supported by this release: remove it",
	"AppTrigger.concurrency": "it belongs to the function: write it under limits of the function",
	"AppTrigger.env":         "it belongs to the function: write it there; a rule has data with ${…} in its then",
	"AppTrigger.followups":   "they belong to the function: write them there; a then has priority, ttl, keepLatest and over of its own",
	"AppTrigger.log":         "it belongs to the function: write it there",
	"AppTrigger.limits":      "they belong to the function: write them there; a rule has the usual ones",
	"AppTrigger.module":      "a module belongs to a function: write it under functions, and name that function here",
	"AppTrigger.permissions": "they belong to the function: write them there; what then does needs none",
	"AppTrigger.priority":    "it belongs to the function: write it there; a rule has 5",
	"Assignment.notBefore":   "start times are not supported by this release: remove it and publish when it is time",
}

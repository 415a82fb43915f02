// Package codecache turns modules as they were downloaded into code that is
// ready to run, and keeps the result, so that a restart compiles nothing.
//
// A module from strangers can make a compiler take minutes and gigabytes, or
// crash it. So the work is done in a process of its own (Main), one at a time, at
// low priority and within limits of memory and time. That process rewrites the
// module (package instrument), compiles it into a new folder and ends. The store
// then seals the folder with a key of the device and renames it into place:
//
//	Dir/engine-<hex>/<hex of the module>/seal                what was made of what, and its HMAC-SHA256
//	                                    /module.wasm         the rewritten module
//	                                    /wazero-<version>-<arch>-<os>/<hex>   native code, if any
//	Dir/engine-<hex>/live                    links to what was verified, or copies: the cache of the runtime
//	Dir/tmp-<number>                                         what is being made
//
// It promises:
//   - What is on disk is run only if it is exactly what this device made of this
//     module with this release of the engine for this processor. All else
//     (damage, missing and extra files, another key) is made again, which is
//     logged and never an error of the function.
//   - A disk that is full, read-only, not the agent's alone or in use by another
//     agent costs compiling again, never a function. The log says so, and the next
//     Prepare tries again.
//   - A module that needs more than the limits is refused with one sentence, and
//     the process that tried is gone with all that it took. So are modules that
//     crash the compiler. That holds on a full disk too.
//   - At most Options.Size bytes are kept. What was used least recently goes
//     first, and nothing that is in use.
//
// It does not promise:
//   - Limits without Options.Child: this process then compiles by itself, and only
//     a panic is caught.
//   - Anything against who may act as the agent's user or root. The folders above
//     Dir must be safe from others too.
//   - To keep another process of the agent from being killed when the device or
//     its control group runs out of memory, although the compiling one is
//     marked as the first to go. A systemd unit needs OOMPolicy=continue.
package codecache

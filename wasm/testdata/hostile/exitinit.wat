;; Leaves by proc_exit(0) from skerry_init.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "skerry_init") (result i32) (call $exit (i32.const 0)) (i32.const 0))
  (func (export "skerry_handle") (result i32) (i32.const 0)))

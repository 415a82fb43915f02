;; Leaves by proc_exit(0) from its start function.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func $start (call $exit (i32.const 0)))
  (start $start)
  (func (export "skerry_handle") (result i32) (i32.const 0)))

;; Leaves by proc_exit, with the length of the event's data as its code.
(module
  (import "skerry_v1" "event_get" (func $event_get (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "skerry_handle") (result i32)
    (call $exit (call $event_get (i32.const 0) (i32.const 0) (i32.const 0)))
    (i32.const 0)))

;; Traps when the event has data, commits when it has none.
(module
  (import "skerry_v1" "event_get" (func $event_get (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $fail (export "fail") unreachable)
  (func (export "skerry_handle") (result i32)
    (if (call $event_get (i32.const 0) (i32.const 0) (i32.const 0)) (then (call $fail)))
    (i32.const 0)))

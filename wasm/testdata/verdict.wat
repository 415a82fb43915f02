;; Says why with error_set and returns the first byte of the event's data.
(module
  (import "skerry_v1" "event_get" (func $event_get (param i32 i32 i32) (result i32)))
  (import "skerry_v1" "error_set" (func $error_set (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "no device id")
  (func (export "skerry_handle") (result i32)
    (drop (call $event_get (i32.const 0) (i32.const 0) (i32.const 8)))
    (drop (call $error_set (i32.const 16) (i32.const 12)))
    (i32.load8_u (i32.const 0))))

;; Loops as often as the event has bytes, times 1000, and calls the host once.
(module
  (import "skerry_v1" "event_get" (func $get (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "skerry_handle") (result i32)
    (local $n i32)
    (local.set $n (i32.mul (call $get (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 1000)))
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $again)))
    (i32.const 0)))

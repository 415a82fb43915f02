;; Takes some 10 million instructions to start; traps on an event of one byte.
(module
  (import "skerry_v1" "event_get" (func $get (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "skerry_init") (result i32)
    (local $n i32)
    (loop $again
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 10000000))))
    (i32.const 0))
  (func (export "skerry_handle") (result i32)
    (if (i32.eq (call $get (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 1)) (then (unreachable)))
    (i32.const 0)))

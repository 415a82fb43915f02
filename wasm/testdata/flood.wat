;; Logs, publishes and sets its result without end.
(module
  (import "skerry_v1" "log" (func $log (param i32 i32 i32) (result i32)))
  (import "skerry_v1" "publish" (func $publish (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "flood")
  (global $refused (mut i32) (i32.const 0))
  (func (export "skerry_handle") (result i32)
    (local $n i32)
    (loop $again
      (drop (call $log (i32.const 1) (i32.const 0) (i32.const 4096)))
      (if (i32.eq (call $publish (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 32768) (i32.const 0)) (i32.const -4))
        (then (return (i32.const 7))))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100000))))
    (i32.const 0)))

;; Sends requests of 262,144 empty header lines, which cannot be one.
(module
  (import "skerry_v1" "http" (func $http (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 5)
  (func (export "skerry_handle") (result i32) (local $i i32)
    (loop $next ;; "\r\n\n" would end the head, "\n \n" does not
      (i32.store16 (local.get $i) (i32.const 0x0a0d))
      (local.set $i (i32.add (local.get $i) (i32.const 2)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 262144))))
    (i64.store (i32.const 0) (i64.const 0x0a0d_61_20_54_45_47)) ;; "GET a"
    (i32.store8 (i32.const 8) (i32.const 0x20))
    (loop $again
      (drop (call $http (i32.const 0) (i32.const 262144) (i32.const 0) (i32.const 0)))
      (br $again))
    (i32.const 0)))

;; Puts functions of the host and its own into tables, and fills, copies and
;; grows these without end.
(module
  (import "skerry_v1" "now_ms" (func $now (result i64)))
  (memory (export "memory") 1)
  (type $f (func (result i64)))
  (table $a 1000 90000 funcref)
  (table $b 1000 1000 funcref)
  (elem declare func $now $one)
  (func $one (result i64) (i64.const 1))
  (func (export "skerry_handle") (result i32)
    (loop $again
      (drop (table.grow $a (ref.func $one) (i32.const 1000)))
      (table.fill $a (i32.const 0) (ref.func $one) (table.size $a))
      (table.copy $a $b (i32.const 0) (i32.const 0) (i32.const 1000))
      (table.set $b (i32.const 7) (ref.func $one))
      (drop (call_indirect $b (type $f) (i32.const 7)))
      (br $again))
    (i32.const 0)))

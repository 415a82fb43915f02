;; A chain of vector instructions without end.
(module
  (memory (export "memory") 1)
  (func (export "skerry_handle") (result i32) (local $v v128)
    (loop $again
      (local.set $v (i64x2.mul (i8x16.swizzle (local.get $v) (v128.const i32x4 1 2 3 4)) (i64x2.mul (local.get $v) (local.get $v))))
      (local.set $v (f64x2.div (f64x2.sqrt (local.get $v)) (f64x2.sqrt (f64x2.add (local.get $v) (v128.const f64x2 3 7)))))
      (local.set $v (i8x16.add_sat_u (i16x8.mul (local.get $v) (local.get $v)) (i8x16.popcnt (local.get $v))))
      (br $again))
    (i32.const 0)))

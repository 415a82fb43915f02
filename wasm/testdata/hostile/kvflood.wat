;; Sets one key after the other, with as little in each as can be.
(module
  (import "skerry_v1" "kv_set" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "skerry_handle") (result i32) (local $i i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (i32.store (i32.const 0) (i32.or (i32.const 0x30303030) (i32.and (local.get $i) (i32.const 0xf))))
      (i32.store8 (i32.const 1) (i32.or (i32.const 0x30) (i32.and (i32.shr_u (local.get $i) (i32.const 4)) (i32.const 0x3f))))
      (i32.store8 (i32.const 2) (i32.or (i32.const 0x30) (i32.and (i32.shr_u (local.get $i) (i32.const 10)) (i32.const 0x3f))))
      (drop (call $set (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0)))
      (br $again))
    (i32.const 0)))

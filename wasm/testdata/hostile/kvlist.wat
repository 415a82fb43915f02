;; Sets 4,000 keys, then lists them without end.
(module
  (import "skerry_v1" "kv_set" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "skerry_v1" "kv_list" (func $list (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "skerry_handle") (result i32) (local $i i32)
    (loop $next
      (i32.store8 (i32.const 0) (i32.add (i32.const 0x30) (i32.and (local.get $i) (i32.const 0x3f))))
      (i32.store8 (i32.const 1) (i32.add (i32.const 0x30) (i32.and (i32.shr_u (local.get $i) (i32.const 6)) (i32.const 0x3f))))
      (drop (call $set (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 4000))))
    (loop $again
      (drop (call $list (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 60000)))
      (br $again))
    (i32.const 0)))

;; What skerry doctor measures an engine with: a thousand turns of a small loop
;; for each byte of the event. Built with: wat2wasm doctor_loop.wat
(module
  (import "skerry_v1" "event_get" (func $event_get (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (func (export "skerry_handle") (result i32)
    (local $turns i32) (local $x i32)
    (local.set $x (i32.const 2463534242))
    (local.set $turns (i32.mul (call $event_get (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 1000)))
    (block $done
      (loop $turn
        (br_if $done (i32.eqz (local.get $turns)))
        (local.set $x (i32.xor (local.get $x) (i32.shl (local.get $x) (i32.const 13))))
        (local.set $x (i32.xor (local.get $x) (i32.shr_u (local.get $x) (i32.const 17))))
        (local.set $x (i32.xor (local.get $x) (i32.shl (local.get $x) (i32.const 5))))
        (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
        (br $turn)))
    (i32.store (i32.const 0) (local.get $x))
    (i32.const 0)))

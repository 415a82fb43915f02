;; Keeps what it can from run to run: a private global, memory, grown memory and
;; a random number drawn at its first run. The result is one byte of each.
(module
  (import "skerry_v1" "result_set" (func $result (param i32 i32) (result i32)))
  (import "skerry_v1" "event_get" (func $get (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1 64)
  (global $count (mut i32) (i32.const 0))
  (func (export "skerry_handle") (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store8 (i32.const 101) (i32.add (i32.load8_u (i32.const 101)) (i32.const 1)))
    (i32.store8 (i32.const 100) (global.get $count))
    (i32.store8 (i32.const 102) (memory.size))
    ;; an event of n bytes grows memory by n pages
    (drop (memory.grow (call $get (i32.const 0) (i32.const 0) (i32.const 0))))
    (call $result (i32.const 100) (i32.const 3))))

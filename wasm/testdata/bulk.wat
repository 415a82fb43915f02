;; Fills and copies all of its memory for ever.
(module
  (memory (export "memory") 1)
  (func (export "skerry_handle") (result i32)
    (local $n i32)
    (drop (memory.grow (i32.const 255)))
    (local.set $n (i32.shl (memory.size) (i32.const 16)))
    (loop $again
      (memory.fill (i32.const 0) (i32.const 7) (local.get $n))
      (memory.copy (i32.const 1) (i32.const 0) (i32.sub (local.get $n) (i32.const 1)))
      (br $again))
    (i32.const 0)))

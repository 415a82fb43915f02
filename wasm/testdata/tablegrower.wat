;; Grows its table and its memory for ever, one by one.
(module
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (func (export "skerry_handle") (result i32)
    (loop $again
      (drop (table.grow $t (ref.null func) (i32.const 1)))
      (drop (memory.grow (i32.const 1)))
      (br $again))
    (i32.const 0)))

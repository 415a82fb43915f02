;; Traps in its start function.
(module
  (memory (export "memory") 1)
  (func $start (i32.store (i32.const -4) (i32.const 0)))
  (start $start)
  (func (export "skerry_handle") (result i32) (i32.const 0)))

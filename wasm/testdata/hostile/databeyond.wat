;; A data segment beyond its memory: it cannot be instantiated.
(module
  (memory (export "memory") 1)
  (data (i32.const 65535) "xy")
  (func (export "skerry_handle") (result i32) (i32.const 0)))

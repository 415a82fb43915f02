;; Table entries beyond its table: it cannot be instantiated.
(module
  (memory (export "memory") 1)
  (table 1 funcref)
  (func $f (export "skerry_handle") (result i32) (i32.const 0))
  (elem (i32.const 1) $f))

;; Loops in a function that is reached through a table only.
(module
  (memory (export "memory") 1)
  (type $v (func))
  (table 1 funcref)
  (elem (i32.const 0) $spin)
  (func $spin (loop $again (br $again)))
  (func (export "skerry_handle") (result i32)
    (call_indirect (type $v) (i32.const 0))
    (i32.const 0)))

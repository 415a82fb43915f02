;; Two functions that call each other through a table, without end.
(module
  (memory (export "memory") 1)
  (type $f (func (param i64) (result i64)))
  (table funcref (elem $even $odd))
  (func $even (param i64) (result i64)
    (i64.add (local.get 0) (call_indirect (type $f) (i64.add (local.get 0) (i64.const 1)) (i32.const 1))))
  (func $odd (param i64) (result i64)
    (i64.mul (local.get 0) (call_indirect (type $f) (i64.sub (local.get 0) (i64.const 1)) (i32.const 0))))
  (func (export "skerry_handle") (result i32) (i32.wrap_i64 (call $even (i64.const 7)))))

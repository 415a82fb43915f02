;; The slowest instructions of most processors, each waiting for the last one.
(module
  (memory (export "memory") 1)
  (func (export "skerry_handle") (result i32) (local $x f64)
    (local.set $x (f64.const 3.7))
    (loop $again
      (local.set $x (f64.sqrt (f64.div (f64.const 1.1) (f64.sqrt (f64.div (f64.const 1e300) (f64.sqrt (local.get $x)))))))
      (local.set $x (f64.sqrt (f64.div (f64.const 1e-308) (f64.sqrt (f64.div (local.get $x) (f64.const 1.7e308))))))
      (local.set $x (f64.add (f64.abs (local.get $x)) (f64.const 1)))
      (br $again))
    (i32.const 0)))

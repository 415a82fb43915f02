;; Logs 60 KiB at a time, without end.
(module
  (import "skerry_v1" "log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "skerry_handle") (result i32)
    (loop $again
      (drop (call $log (i32.const 3) (i32.const 0) (i32.const 61440)))
      (br $again))
    (i32.const 0)))

;; Publishes without end, whatever the host answers.
(module
  (import "skerry_v1" "publish" (func $publish (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "alerts/1")
  (func (export "skerry_handle") (result i32)
    (loop $again
      (drop (call $publish (i32.const 0) (i32.const 8) (i32.const 0) (i32.const 60000) (i32.const 0)))
      (br $again))
    (i32.const 0)))

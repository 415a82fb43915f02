;; Asks for a page of a host that was not granted, without end.
(module
  (import "skerry_v1" "http" (func $http (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "GET http://127.0.0.1:1/ \0a\0a")
  (func (export "skerry_handle") (result i32)
    (loop $again
      (drop (call $http (i32.const 0) (i32.const 25) (i32.const 1024) (i32.const 1024)))
      (br $again))
    (i32.const 0)))

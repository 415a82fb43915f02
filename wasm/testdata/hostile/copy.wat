;; Moves 64 MiB of memory by one byte, there and back.
(module
  (memory (export "memory") 1024)
  (func (export "skerry_handle") (result i32)
    (loop $again
      (memory.copy (i32.const 1) (i32.const 0) (i32.const 0x3ffffff))
      (memory.copy (i32.const 0) (i32.const 1) (i32.const 0x3ffffff))
      (br $again))
    (i32.const 0)))

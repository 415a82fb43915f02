;; Fills 64 MiB of memory again and again, each time at once.
(module
  (memory (export "memory") 1024)
  (func (export "skerry_handle") (result i32)
    (loop $again
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x4000000))
      (br $again))
    (i32.const 0)))

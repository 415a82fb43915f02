;; Reads all over 64 MiB, so that hardly any read hits a cache.
(module
  (memory (export "memory") 1024)
  (func (export "skerry_handle") (result i32) (local $at i32)
    (loop $again
      (local.set $at (i32.add (i32.mul (local.get $at) (i32.const 1664525)) (i32.const 1013904223)))
      (local.set $at (i32.add (local.get $at) (i32.load (i32.and (local.get $at) (i32.const 0x3fffffc)))))
      (i32.store (i32.and (local.get $at) (i32.const 0x3fffffc)) (local.get $at))
      (br $again))
    (i32.const 0)))

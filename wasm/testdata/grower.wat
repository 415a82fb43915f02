;; Takes memory until it is refused, then traps.
(module
  (memory (export "memory") 1)
  (func (export "skerry_handle") (result i32)
    (loop $again
      (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    unreachable))

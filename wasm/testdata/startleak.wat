;; A command that fills 4 MiB and traps before it has started.
(module
  (memory (export "memory") 64)
  (func $start (memory.fill (i32.const 0) (i32.const 1) (i32.const 4194304)) (unreachable))
  (start $start)
  (func (export "_start")))

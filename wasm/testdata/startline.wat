;; A command whose start function prints the event without a line end, and traps
;; if it begins with an s.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\06\00\00\00") ;; 6 bytes at 16
  (func $start
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 100)))
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 100)))
    (if (i32.eq (i32.load8_u (i32.const 16)) (i32.const 115)) (then (unreachable))))
  (start $start)
  (func (export "_start")))

;; A WASI command: copies standard input to standard output and to standard
;; error, and exits with the number that is the input's first byte minus "0",
;; or 65 for "R" and 75 for "T".
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (local $c i32)
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 4096))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (local.set $c (i32.load8_u (i32.const 1024)))
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
    ;; "E" writes the environment to standard output instead, NUL separated
    (if (i32.eq (local.get $c) (i32.const 69)) (then
      (drop (call $environ_sizes (i32.const 16) (i32.const 20)))
      (drop (call $environ (i32.const 8192) (i32.const 16384)))
      (i32.store (i32.const 0) (i32.const 16384))
      (i32.store (i32.const 4) (i32.load (i32.const 20)))))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (if (i32.eq (local.get $c) (i32.const 69)) (then (return)))
    (if (i32.eq (local.get $c) (i32.const 82)) (then (call $exit (i32.const 65))))
    (if (i32.eq (local.get $c) (i32.const 84)) (then (call $exit (i32.const 75))))
    (if (i32.eq (local.get $c) (i32.const 46)) (then (return)))
    (call $exit (i32.sub (local.get $c) (i32.const 48)))))

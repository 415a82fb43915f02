;; Polls 100,000 times standard input with each call to poll_oneoff.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 256)
  (func (export "skerry_handle") (result i32) (local $i i32)
    (loop $next
      (i32.store8 (i32.add (i32.mul (local.get $i) (i32.const 48)) (i32.const 8)) (i32.const 1)) ;; fd_read of 0
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 100000))))
    (loop $again
      (drop (call $poll (i32.const 0) (i32.const 0x700000) (i32.const 100000) (i32.const 0xfffff0)))
      (br $again))
    (i32.const 0)))

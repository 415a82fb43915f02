;; Traps in the way that the first byte of the event's data names.
(module
  (import "skerry_v1" "event_get" (func $event_get (param i32 i32 i32) (result i32)))
  (import "skerry_v1" "now_ms" (func $now (result i64)))
  (memory (export "memory") 1)
  (type $v (func))
  (type $n (func (result i64)))
  (table 4 funcref)
  (elem (i32.const 0) $now)
  (elem $unused func $now)
  (data $gone "gone")
  (func (export "skerry_handle") (result i32) (local $zero i32) (local $nan f64)
    (drop (call $event_get (i32.const 0) (i32.const 0) (i32.const 8)))
    (local.set $nan (f64.div (f64.const 0) (f64.const 0)))
    block block block block block block block block block block block block block block
    (br_table 0 1 2 3 4 5 6 7 8 9 10 11 12 13 (i32.load8_u (i32.const 0)))
    end unreachable
    end (return (i32.div_u (i32.const 1) (local.get $zero)))
    end (return (i32.rem_s (i32.const 1) (local.get $zero)))
    end (return (i32.div_s (i32.const 0x80000000) (i32.sub (local.get $zero) (i32.const 1))))
    end (return (i32.load (i32.const 65533)))
    end (return (i32.load offset=0xffffffff (i32.const -1)))
    end (call_indirect (type $v) (i32.const 0)) (return (i32.const 0)) ;; of another type
    end (return (i32.wrap_i64 (call_indirect (type $n) (i32.const 3)))) ;; empty
    end (return (i32.wrap_i64 (call_indirect (type $n) (i32.const 4)))) ;; beyond
    end (return (i32.trunc_f64_s (local.get $nan)))
    end (return (i32.trunc_f64_u (f64.const 1e10)))
    end (memory.init $gone (i32.const 65535) (i32.const 0) (i32.const 4)) (return (i32.const 0))
    end (table.init $unused (i32.const 4) (i32.const 0) (i32.const 1)) (return (i32.const 0))
    end (memory.copy (i32.const 0) (i32.const 1) (i32.const -1))
    (i32.const 0)))

;; Computes 24 remainders of each kind that must all be kept at once, more than
;; there are registers: (a + 7*i) % (b + i) for i from 0, joined by *31 and +. The
;; event's data are a and b in 8 bytes each, and then the kind, 0 to 3.
(module
  (import "skerry_v1" "event_get" (func $event_get (param i32 i32 i32) (result i32)))
  (import "skerry_v1" "result_set" (func $result_set (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $i32.rem_s (export "i32.rem_s") (param $a i32) (param $b i32) (result i32) (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    (local.set 2 (i32.rem_s (i32.add (local.get $a) (i32.const 0)) (i32.add (local.get $b) (i32.const 0))))
    (local.set 3 (i32.rem_s (i32.add (local.get $a) (i32.const 7)) (i32.add (local.get $b) (i32.const 1))))
    (local.set 4 (i32.rem_s (i32.add (local.get $a) (i32.const 14)) (i32.add (local.get $b) (i32.const 2))))
    (local.set 5 (i32.rem_s (i32.add (local.get $a) (i32.const 21)) (i32.add (local.get $b) (i32.const 3))))
    (local.set 6 (i32.rem_s (i32.add (local.get $a) (i32.const 28)) (i32.add (local.get $b) (i32.const 4))))
    (local.set 7 (i32.rem_s (i32.add (local.get $a) (i32.const 35)) (i32.add (local.get $b) (i32.const 5))))
    (local.set 8 (i32.rem_s (i32.add (local.get $a) (i32.const 42)) (i32.add (local.get $b) (i32.const 6))))
    (local.set 9 (i32.rem_s (i32.add (local.get $a) (i32.const 49)) (i32.add (local.get $b) (i32.const 7))))
    (local.set 10 (i32.rem_s (i32.add (local.get $a) (i32.const 56)) (i32.add (local.get $b) (i32.const 8))))
    (local.set 11 (i32.rem_s (i32.add (local.get $a) (i32.const 63)) (i32.add (local.get $b) (i32.const 9))))
    (local.set 12 (i32.rem_s (i32.add (local.get $a) (i32.const 70)) (i32.add (local.get $b) (i32.const 10))))
    (local.set 13 (i32.rem_s (i32.add (local.get $a) (i32.const 77)) (i32.add (local.get $b) (i32.const 11))))
    (local.set 14 (i32.rem_s (i32.add (local.get $a) (i32.const 84)) (i32.add (local.get $b) (i32.const 12))))
    (local.set 15 (i32.rem_s (i32.add (local.get $a) (i32.const 91)) (i32.add (local.get $b) (i32.const 13))))
    (local.set 16 (i32.rem_s (i32.add (local.get $a) (i32.const 98)) (i32.add (local.get $b) (i32.const 14))))
    (local.set 17 (i32.rem_s (i32.add (local.get $a) (i32.const 105)) (i32.add (local.get $b) (i32.const 15))))
    (local.set 18 (i32.rem_s (i32.add (local.get $a) (i32.const 112)) (i32.add (local.get $b) (i32.const 16))))
    (local.set 19 (i32.rem_s (i32.add (local.get $a) (i32.const 119)) (i32.add (local.get $b) (i32.const 17))))
    (local.set 20 (i32.rem_s (i32.add (local.get $a) (i32.const 126)) (i32.add (local.get $b) (i32.const 18))))
    (local.set 21 (i32.rem_s (i32.add (local.get $a) (i32.const 133)) (i32.add (local.get $b) (i32.const 19))))
    (local.set 22 (i32.rem_s (i32.add (local.get $a) (i32.const 140)) (i32.add (local.get $b) (i32.const 20))))
    (local.set 23 (i32.rem_s (i32.add (local.get $a) (i32.const 147)) (i32.add (local.get $b) (i32.const 21))))
    (local.set 24 (i32.rem_s (i32.add (local.get $a) (i32.const 154)) (i32.add (local.get $b) (i32.const 22))))
    (local.set 25 (i32.rem_s (i32.add (local.get $a) (i32.const 161)) (i32.add (local.get $b) (i32.const 23))))
    (local.get 2)
    i32.const 31 i32.mul local.get 3 i32.add
    i32.const 31 i32.mul local.get 4 i32.add
    i32.const 31 i32.mul local.get 5 i32.add
    i32.const 31 i32.mul local.get 6 i32.add
    i32.const 31 i32.mul local.get 7 i32.add
    i32.const 31 i32.mul local.get 8 i32.add
    i32.const 31 i32.mul local.get 9 i32.add
    i32.const 31 i32.mul local.get 10 i32.add
    i32.const 31 i32.mul local.get 11 i32.add
    i32.const 31 i32.mul local.get 12 i32.add
    i32.const 31 i32.mul local.get 13 i32.add
    i32.const 31 i32.mul local.get 14 i32.add
    i32.const 31 i32.mul local.get 15 i32.add
    i32.const 31 i32.mul local.get 16 i32.add
    i32.const 31 i32.mul local.get 17 i32.add
    i32.const 31 i32.mul local.get 18 i32.add
    i32.const 31 i32.mul local.get 19 i32.add
    i32.const 31 i32.mul local.get 20 i32.add
    i32.const 31 i32.mul local.get 21 i32.add
    i32.const 31 i32.mul local.get 22 i32.add
    i32.const 31 i32.mul local.get 23 i32.add
    i32.const 31 i32.mul local.get 24 i32.add
    i32.const 31 i32.mul local.get 25 i32.add
  )
  (func $i32.rem_u (export "i32.rem_u") (param $a i32) (param $b i32) (result i32) (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    (local.set 2 (i32.rem_u (i32.add (local.get $a) (i32.const 0)) (i32.add (local.get $b) (i32.const 0))))
    (local.set 3 (i32.rem_u (i32.add (local.get $a) (i32.const 7)) (i32.add (local.get $b) (i32.const 1))))
    (local.set 4 (i32.rem_u (i32.add (local.get $a) (i32.const 14)) (i32.add (local.get $b) (i32.const 2))))
    (local.set 5 (i32.rem_u (i32.add (local.get $a) (i32.const 21)) (i32.add (local.get $b) (i32.const 3))))
    (local.set 6 (i32.rem_u (i32.add (local.get $a) (i32.const 28)) (i32.add (local.get $b) (i32.const 4))))
    (local.set 7 (i32.rem_u (i32.add (local.get $a) (i32.const 35)) (i32.add (local.get $b) (i32.const 5))))
    (local.set 8 (i32.rem_u (i32.add (local.get $a) (i32.const 42)) (i32.add (local.get $b) (i32.const 6))))
    (local.set 9 (i32.rem_u (i32.add (local.get $a) (i32.const 49)) (i32.add (local.get $b) (i32.const 7))))
    (local.set 10 (i32.rem_u (i32.add (local.get $a) (i32.const 56)) (i32.add (local.get $b) (i32.const 8))))
    (local.set 11 (i32.rem_u (i32.add (local.get $a) (i32.const 63)) (i32.add (local.get $b) (i32.const 9))))
    (local.set 12 (i32.rem_u (i32.add (local.get $a) (i32.const 70)) (i32.add (local.get $b) (i32.const 10))))
    (local.set 13 (i32.rem_u (i32.add (local.get $a) (i32.const 77)) (i32.add (local.get $b) (i32.const 11))))
    (local.set 14 (i32.rem_u (i32.add (local.get $a) (i32.const 84)) (i32.add (local.get $b) (i32.const 12))))
    (local.set 15 (i32.rem_u (i32.add (local.get $a) (i32.const 91)) (i32.add (local.get $b) (i32.const 13))))
    (local.set 16 (i32.rem_u (i32.add (local.get $a) (i32.const 98)) (i32.add (local.get $b) (i32.const 14))))
    (local.set 17 (i32.rem_u (i32.add (local.get $a) (i32.const 105)) (i32.add (local.get $b) (i32.const 15))))
    (local.set 18 (i32.rem_u (i32.add (local.get $a) (i32.const 112)) (i32.add (local.get $b) (i32.const 16))))
    (local.set 19 (i32.rem_u (i32.add (local.get $a) (i32.const 119)) (i32.add (local.get $b) (i32.const 17))))
    (local.set 20 (i32.rem_u (i32.add (local.get $a) (i32.const 126)) (i32.add (local.get $b) (i32.const 18))))
    (local.set 21 (i32.rem_u (i32.add (local.get $a) (i32.const 133)) (i32.add (local.get $b) (i32.const 19))))
    (local.set 22 (i32.rem_u (i32.add (local.get $a) (i32.const 140)) (i32.add (local.get $b) (i32.const 20))))
    (local.set 23 (i32.rem_u (i32.add (local.get $a) (i32.const 147)) (i32.add (local.get $b) (i32.const 21))))
    (local.set 24 (i32.rem_u (i32.add (local.get $a) (i32.const 154)) (i32.add (local.get $b) (i32.const 22))))
    (local.set 25 (i32.rem_u (i32.add (local.get $a) (i32.const 161)) (i32.add (local.get $b) (i32.const 23))))
    (local.get 2)
    i32.const 31 i32.mul local.get 3 i32.add
    i32.const 31 i32.mul local.get 4 i32.add
    i32.const 31 i32.mul local.get 5 i32.add
    i32.const 31 i32.mul local.get 6 i32.add
    i32.const 31 i32.mul local.get 7 i32.add
    i32.const 31 i32.mul local.get 8 i32.add
    i32.const 31 i32.mul local.get 9 i32.add
    i32.const 31 i32.mul local.get 10 i32.add
    i32.const 31 i32.mul local.get 11 i32.add
    i32.const 31 i32.mul local.get 12 i32.add
    i32.const 31 i32.mul local.get 13 i32.add
    i32.const 31 i32.mul local.get 14 i32.add
    i32.const 31 i32.mul local.get 15 i32.add
    i32.const 31 i32.mul local.get 16 i32.add
    i32.const 31 i32.mul local.get 17 i32.add
    i32.const 31 i32.mul local.get 18 i32.add
    i32.const 31 i32.mul local.get 19 i32.add
    i32.const 31 i32.mul local.get 20 i32.add
    i32.const 31 i32.mul local.get 21 i32.add
    i32.const 31 i32.mul local.get 22 i32.add
    i32.const 31 i32.mul local.get 23 i32.add
    i32.const 31 i32.mul local.get 24 i32.add
    i32.const 31 i32.mul local.get 25 i32.add
  )
  (func $i64.rem_s (export "i64.rem_s") (param $a i64) (param $b i64) (result i64) (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (local.set 2 (i64.rem_s (i64.add (local.get $a) (i64.const 0)) (i64.add (local.get $b) (i64.const 0))))
    (local.set 3 (i64.rem_s (i64.add (local.get $a) (i64.const 7)) (i64.add (local.get $b) (i64.const 1))))
    (local.set 4 (i64.rem_s (i64.add (local.get $a) (i64.const 14)) (i64.add (local.get $b) (i64.const 2))))
    (local.set 5 (i64.rem_s (i64.add (local.get $a) (i64.const 21)) (i64.add (local.get $b) (i64.const 3))))
    (local.set 6 (i64.rem_s (i64.add (local.get $a) (i64.const 28)) (i64.add (local.get $b) (i64.const 4))))
    (local.set 7 (i64.rem_s (i64.add (local.get $a) (i64.const 35)) (i64.add (local.get $b) (i64.const 5))))
    (local.set 8 (i64.rem_s (i64.add (local.get $a) (i64.const 42)) (i64.add (local.get $b) (i64.const 6))))
    (local.set 9 (i64.rem_s (i64.add (local.get $a) (i64.const 49)) (i64.add (local.get $b) (i64.const 7))))
    (local.set 10 (i64.rem_s (i64.add (local.get $a) (i64.const 56)) (i64.add (local.get $b) (i64.const 8))))
    (local.set 11 (i64.rem_s (i64.add (local.get $a) (i64.const 63)) (i64.add (local.get $b) (i64.const 9))))
    (local.set 12 (i64.rem_s (i64.add (local.get $a) (i64.const 70)) (i64.add (local.get $b) (i64.const 10))))
    (local.set 13 (i64.rem_s (i64.add (local.get $a) (i64.const 77)) (i64.add (local.get $b) (i64.const 11))))
    (local.set 14 (i64.rem_s (i64.add (local.get $a) (i64.const 84)) (i64.add (local.get $b) (i64.const 12))))
    (local.set 15 (i64.rem_s (i64.add (local.get $a) (i64.const 91)) (i64.add (local.get $b) (i64.const 13))))
    (local.set 16 (i64.rem_s (i64.add (local.get $a) (i64.const 98)) (i64.add (local.get $b) (i64.const 14))))
    (local.set 17 (i64.rem_s (i64.add (local.get $a) (i64.const 105)) (i64.add (local.get $b) (i64.const 15))))
    (local.set 18 (i64.rem_s (i64.add (local.get $a) (i64.const 112)) (i64.add (local.get $b) (i64.const 16))))
    (local.set 19 (i64.rem_s (i64.add (local.get $a) (i64.const 119)) (i64.add (local.get $b) (i64.const 17))))
    (local.set 20 (i64.rem_s (i64.add (local.get $a) (i64.const 126)) (i64.add (local.get $b) (i64.const 18))))
    (local.set 21 (i64.rem_s (i64.add (local.get $a) (i64.const 133)) (i64.add (local.get $b) (i64.const 19))))
    (local.set 22 (i64.rem_s (i64.add (local.get $a) (i64.const 140)) (i64.add (local.get $b) (i64.const 20))))
    (local.set 23 (i64.rem_s (i64.add (local.get $a) (i64.const 147)) (i64.add (local.get $b) (i64.const 21))))
    (local.set 24 (i64.rem_s (i64.add (local.get $a) (i64.const 154)) (i64.add (local.get $b) (i64.const 22))))
    (local.set 25 (i64.rem_s (i64.add (local.get $a) (i64.const 161)) (i64.add (local.get $b) (i64.const 23))))
    (local.get 2)
    i64.const 31 i64.mul local.get 3 i64.add
    i64.const 31 i64.mul local.get 4 i64.add
    i64.const 31 i64.mul local.get 5 i64.add
    i64.const 31 i64.mul local.get 6 i64.add
    i64.const 31 i64.mul local.get 7 i64.add
    i64.const 31 i64.mul local.get 8 i64.add
    i64.const 31 i64.mul local.get 9 i64.add
    i64.const 31 i64.mul local.get 10 i64.add
    i64.const 31 i64.mul local.get 11 i64.add
    i64.const 31 i64.mul local.get 12 i64.add
    i64.const 31 i64.mul local.get 13 i64.add
    i64.const 31 i64.mul local.get 14 i64.add
    i64.const 31 i64.mul local.get 15 i64.add
    i64.const 31 i64.mul local.get 16 i64.add
    i64.const 31 i64.mul local.get 17 i64.add
    i64.const 31 i64.mul local.get 18 i64.add
    i64.const 31 i64.mul local.get 19 i64.add
    i64.const 31 i64.mul local.get 20 i64.add
    i64.const 31 i64.mul local.get 21 i64.add
    i64.const 31 i64.mul local.get 22 i64.add
    i64.const 31 i64.mul local.get 23 i64.add
    i64.const 31 i64.mul local.get 24 i64.add
    i64.const 31 i64.mul local.get 25 i64.add
  )
  (func $i64.rem_u (export "i64.rem_u") (param $a i64) (param $b i64) (result i64) (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (local.set 2 (i64.rem_u (i64.add (local.get $a) (i64.const 0)) (i64.add (local.get $b) (i64.const 0))))
    (local.set 3 (i64.rem_u (i64.add (local.get $a) (i64.const 7)) (i64.add (local.get $b) (i64.const 1))))
    (local.set 4 (i64.rem_u (i64.add (local.get $a) (i64.const 14)) (i64.add (local.get $b) (i64.const 2))))
    (local.set 5 (i64.rem_u (i64.add (local.get $a) (i64.const 21)) (i64.add (local.get $b) (i64.const 3))))
    (local.set 6 (i64.rem_u (i64.add (local.get $a) (i64.const 28)) (i64.add (local.get $b) (i64.const 4))))
    (local.set 7 (i64.rem_u (i64.add (local.get $a) (i64.const 35)) (i64.add (local.get $b) (i64.const 5))))
    (local.set 8 (i64.rem_u (i64.add (local.get $a) (i64.const 42)) (i64.add (local.get $b) (i64.const 6))))
    (local.set 9 (i64.rem_u (i64.add (local.get $a) (i64.const 49)) (i64.add (local.get $b) (i64.const 7))))
    (local.set 10 (i64.rem_u (i64.add (local.get $a) (i64.const 56)) (i64.add (local.get $b) (i64.const 8))))
    (local.set 11 (i64.rem_u (i64.add (local.get $a) (i64.const 63)) (i64.add (local.get $b) (i64.const 9))))
    (local.set 12 (i64.rem_u (i64.add (local.get $a) (i64.const 70)) (i64.add (local.get $b) (i64.const 10))))
    (local.set 13 (i64.rem_u (i64.add (local.get $a) (i64.const 77)) (i64.add (local.get $b) (i64.const 11))))
    (local.set 14 (i64.rem_u (i64.add (local.get $a) (i64.const 84)) (i64.add (local.get $b) (i64.const 12))))
    (local.set 15 (i64.rem_u (i64.add (local.get $a) (i64.const 91)) (i64.add (local.get $b) (i64.const 13))))
    (local.set 16 (i64.rem_u (i64.add (local.get $a) (i64.const 98)) (i64.add (local.get $b) (i64.const 14))))
    (local.set 17 (i64.rem_u (i64.add (local.get $a) (i64.const 105)) (i64.add (local.get $b) (i64.const 15))))
    (local.set 18 (i64.rem_u (i64.add (local.get $a) (i64.const 112)) (i64.add (local.get $b) (i64.const 16))))
    (local.set 19 (i64.rem_u (i64.add (local.get $a) (i64.const 119)) (i64.add (local.get $b) (i64.const 17))))
    (local.set 20 (i64.rem_u (i64.add (local.get $a) (i64.const 126)) (i64.add (local.get $b) (i64.const 18))))
    (local.set 21 (i64.rem_u (i64.add (local.get $a) (i64.const 133)) (i64.add (local.get $b) (i64.const 19))))
    (local.set 22 (i64.rem_u (i64.add (local.get $a) (i64.const 140)) (i64.add (local.get $b) (i64.const 20))))
    (local.set 23 (i64.rem_u (i64.add (local.get $a) (i64.const 147)) (i64.add (local.get $b) (i64.const 21))))
    (local.set 24 (i64.rem_u (i64.add (local.get $a) (i64.const 154)) (i64.add (local.get $b) (i64.const 22))))
    (local.set 25 (i64.rem_u (i64.add (local.get $a) (i64.const 161)) (i64.add (local.get $b) (i64.const 23))))
    (local.get 2)
    i64.const 31 i64.mul local.get 3 i64.add
    i64.const 31 i64.mul local.get 4 i64.add
    i64.const 31 i64.mul local.get 5 i64.add
    i64.const 31 i64.mul local.get 6 i64.add
    i64.const 31 i64.mul local.get 7 i64.add
    i64.const 31 i64.mul local.get 8 i64.add
    i64.const 31 i64.mul local.get 9 i64.add
    i64.const 31 i64.mul local.get 10 i64.add
    i64.const 31 i64.mul local.get 11 i64.add
    i64.const 31 i64.mul local.get 12 i64.add
    i64.const 31 i64.mul local.get 13 i64.add
    i64.const 31 i64.mul local.get 14 i64.add
    i64.const 31 i64.mul local.get 15 i64.add
    i64.const 31 i64.mul local.get 16 i64.add
    i64.const 31 i64.mul local.get 17 i64.add
    i64.const 31 i64.mul local.get 18 i64.add
    i64.const 31 i64.mul local.get 19 i64.add
    i64.const 31 i64.mul local.get 20 i64.add
    i64.const 31 i64.mul local.get 21 i64.add
    i64.const 31 i64.mul local.get 22 i64.add
    i64.const 31 i64.mul local.get 23 i64.add
    i64.const 31 i64.mul local.get 24 i64.add
    i64.const 31 i64.mul local.get 25 i64.add
  )
  (func $a (result i64) (i64.load (i32.const 0)))
  (func $b (result i64) (i64.load (i32.const 8)))
  (func $kind (result i64)
    block block block block
    (br_table 0 1 2 3 (i32.load8_u (i32.const 16)))
    end (return (i64.extend_i32_u (call $i32.rem_s (i32.wrap_i64 (call $a)) (i32.wrap_i64 (call $b)))))
    end (return (i64.extend_i32_u (call $i32.rem_u (i32.wrap_i64 (call $a)) (i32.wrap_i64 (call $b)))))
    end (return (call $i64.rem_s (call $a) (call $b)))
    end (call $i64.rem_u (call $a) (call $b)))
  (func (export "skerry_handle") (result i32)
    (drop (call $event_get (i32.const 0) (i32.const 0) (i32.const 64)))
    (i64.store (i32.const 32) (call $kind))
    (call $result_set (i32.const 32) (i32.const 8))))

;; Loops whose only ways back are entries of a jump table.
(module
  (memory (export "memory") 1)
  (func (export "skerry_handle") (result i32) (local $n i32)
    (loop $a
      (loop $b
        (loop $c
          (block $d
            (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 5)) (i32.const 3)))
            (br_table $a $b $c $d $c $b $a (i32.and (local.get $n) (i32.const 7))))
          (br_table $c $b $a (local.get $n)))))
    (i32.const 0)))

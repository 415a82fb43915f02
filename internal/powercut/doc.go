// Package powercut runs the agent in a machine whose power can be cut: a real
// kernel in an emulated computer, with the agent's data on ext4 on a disk that
// forgets what was not flushed. Killing a process proves little, since the
// kernel still writes what the process had written; here the kernel goes too.
//
// The tests in it need qemu-system-x86_64, mkfs.ext4 and debugfs, and the kernel
// and the busybox that .ci/deps.sh unpacks into a cache.
package powercut

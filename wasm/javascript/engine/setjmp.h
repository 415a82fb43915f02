/* QuickJS includes setjmp.h in one file and uses nothing of it; wasi-libc has none. */

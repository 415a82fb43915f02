package instrument

// Limits keep what compiling costs in proportion to the size of a module: in
// wazero 1.12.0 it grows with the square of the number of blocks, and with the
// product of blocks and local variables. The largest value seen in programs of
// real compilers (C, Rust, Zig, Go, TinyGo, AssemblyScript, QuickJS) stands
// beside each.
const (
	maxModule  = 32 << 20    // bytes; 26 MiB (Python)
	maxBody    = 256 << 10   // bytes of one function; 138 KiB (Ruby)
	maxArity   = 128         // parameters, and results, of a function or block; 17
	maxLocals  = 10_000      // of one function; 813
	maxBlocks  = 8_000       // of one function; 800
	maxNesting = 4_000       // blocks inside blocks; 550
	maxLoops   = 64          // loops inside loops; 5
	maxTargets = 16_000      // of all br_table of one function; 964
	maxValues  = 1 << 20     // moved by all instructions of one function; 30,000
	maxLive    = 4 << 20     // local variables and operands alive, over all blocks of one function; 200,000
	maxEffort  = 300_000_000 // squares of the blocks of all functions; 6,441,047
	maxGlobals = 1_000       // mutable ones, which the host reads often; 9
	maxTables  = 16          // 1
	maxEntries = 100_000     // of a table, and of all tables at the start; 6,238
	maxName    = 1 << 10     // bytes of a function's name that are kept
)

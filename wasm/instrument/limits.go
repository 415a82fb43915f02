package instrument

// Limits keep what compiling costs in proportion to the size of a module: in
// wazero 1.12.0 it grows with the square of the number of blocks, and with the
// product of blocks and local variables. The largest value seen in programs of
// real compilers (C, Rust, Zig, Go, TinyGo, AssemblyScript; QuickJS, Python)
// stands beside each.
const (
	maxModule  = 32 << 20    // bytes; 26 MB
	maxBody    = 256 << 10   // bytes of one function; 138 KB (Ruby)
	maxOutput  = 512 << 10   // bytes of one function after rewriting
	maxArity   = 128         // parameters, and results, of a function or block; 19
	maxLocals  = 10_000      // of one function; 813
	maxBlocks  = 8_000       // of one function, with the checks that are added; 1,622 without
	maxNesting = 4_000       // blocks inside blocks; 550
	maxLoops   = 64          // loops inside loops; 8
	maxTargets = 16_000      // of all br_table of one function; 964
	maxValues  = 1 << 20     // moved by all instructions of one function; 67,183
	maxLive    = 4 << 20     // local variables and operands alive, over all blocks of one function; 305,626
	maxEffort  = 300_000_000 // squares of the blocks of all functions; 15,024,006

	maxFuncs    = 100_000 // 11,448
	maxTypes    = 10_000  // 122
	maxImports  = 1_000   // 43
	maxExports  = 10_000  // 450
	maxGlobals  = 10_000  // 21
	maxMutable  = 1_000   // globals, which the host reads often; 21
	maxTables   = 16      // 1
	maxEntries  = 100_000 // of all tables together; 6,238
	maxGrown    = 16_000  // of these that they do not have from the start: growing copies a table; 0
	maxTaken    = 1_000   // functions whose reference is taken in code; 0
	maxElements = 200_000 // in all element segments; 6,238
	maxSegments = 150_000 // of data, and of elements; 32,998 (Go)
	maxName     = 1 << 10 // bytes of a function's name that are kept
)

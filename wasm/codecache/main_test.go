package codecache

import (
	"strings"
	"testing"
)

// TestPanicOfTheCompilerIsCaught gives the compiler a module that the rewriter
// would refuse: its first function calls a second one, whose type does not exist.
func TestPanicOfTheCompilerIsCaught(t *testing.T) {
	module := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x04\x01\x60\x00\x00" + // type 0 is ()->()
		"\x03\x03\x02\x00\x05" + // functions of types 0 and 5
		"\x0a\x09\x02\x04\x00\x10\x01\x0b\x02\x00\x0b") // call 1; nothing
	err := (&job{}).compile(t.Context(), module)
	if err == nil || !strings.Contains(err.Error(), "did not expect") {
		t.Errorf("%v, want the panic as an error", err)
	}
}

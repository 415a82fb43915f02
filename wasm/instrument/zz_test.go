package instrument_test
import ("testing";"math/rand/v2";"github.com/tetratelabs/wazero")
func TestZZ(t *testing.T) {
	r := rand.New(rand.NewPCG(1,2)); kinds := map[string]int{}; works := map[string]int{}
	for range 600 { src := make([]byte, 200+r.IntN(1500)); for i := range src { src[i] = byte(r.Uint32()) }
		o := play(t, wazero.NewRuntimeConfigInterpreter(), (&generator{src: src}).module().bytes(), 1)
		k := o.result; if k[0]=='[' { k = "ok" }; kinds[k]++
		switch { case o.work < 5: works["<5"]++; case o.work < 50: works["<50"]++; case o.work<500: works["<500"]++; default: works["more"]++ } }
	t.Log(kinds, works)
}

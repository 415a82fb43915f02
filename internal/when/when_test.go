package when_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/when"
)

const reading = `{"id":"s017","temperature":95.25,"ok":true,"unit":"C","big":9007199254740993,
"nested":{"level":{"deep":7}},"list":[3,1,2],"rooms":[{"n":"a","t":5},{"n":"b","t":30,"hot":true},{"n":"c"}],
"nothing":null,"size":"L"}`

func event(data string) *agent.Event {
	return &agent.Event{
		Source: "/gw7/mqtt/plant", Type: "io.skerry.mqtt", Subject: "site/7/temp/raw",
		Data: []byte(data), QoS: 1,
	}
}

func terms(data string) agent.Terms { return agent.Terms{Event: event(data)} }

// compile takes conditions that do not look at state.
func compile(text string) (agent.Predicate, error) {
	p, _, err := when.Language{}.Condition(text, nil)
	return p, err
}

// rules are conditions on reading, with what they yield.
var rules = []struct {
	expr string
	want bool
}{
	{`data.temperature > 80`, true},
	{`data.temperature > 95.25`, false},
	{`data.temperature >= 95.25 and data.temperature <= 95.25`, true},
	{`80 < data.temperature && data.unit == "C"`, true},
	{`data.unit < "D"`, true},
	{`data.nested.level.deep == 7`, true},
	{`data["nested"]["level"]["deep"] == 7`, true},
	{`data.list[0] == 3 and data.list[-1] == 2`, true},
	{`data.list[1 + 1] == 2`, true},
	{`2 in data.list`, true},
	{`data.temperature * 2 > 190`, true},
	{`data.ok`, true},
	{`not data.ok`, false},
	{`data.ok and data.temperature > 80`, true},
	{`data.ok ? data.temperature > 80 : false`, true},

	// a field that is not there
	{`data.absent > 80`, false},
	{`data.absent <= 80`, false},
	{`not (data.absent > 80)`, true},
	{`data.absent > 80 or topic == "site/7/temp/raw"`, true},
	{`data.absent.deeper.still == nil`, true},
	{`data.absent == nil`, true},
	{`data.absent != 5`, true},
	{`data.absent`, false},
	{`not data.absent`, true},
	{`data.absent and true`, false},
	{`data.nothing > 1`, false},
	{`(data.absent ?? 99) > 80`, true},
	{`data?.absent?.x == nil`, true},
	{`data.list[99] == nil and data.list.name == nil and data.unit.x == nil`, true},
	{`data.absent contains "x"`, false},
	{`data.absent matches "x"`, false},
	{`3 in data.absent`, false},
	{`data.temperature > data.absent`, false},
	{`data.absent ? true : false`, false},

	// lists
	{`any(data.rooms, .t > 20)`, true},
	{`all(data.rooms, .t > 20)`, false},
	{`any(data.rooms, .hot)`, true},
	{`any(data.rooms, #.n == level(1))`, false},
	{`count(data.rooms, .t > 1) == 2`, true},
	{`len(filter(data.rooms, .t > 1)) == 2`, true},
	{`sum(map(data.list, # * 2)) == 12`, true},
	{`max(data.list) == 3`, true},
	{`first(data.list) == 3`, true},

	// attributes
	{`level(0) == "site" and level(1) == "7" and level(3) == "raw"`, true},
	{`level(4) == ""`, true},
	{`int(level(1)) > 6`, true},
	{`topic startsWith "site/" and subject endsWith "/raw"`, true},
	{`topic matches "^site/[0-9]+/"`, true},
	{`source == "/gw7/mqtt/plant" and type == "io.skerry.mqtt"`, true},
	{`qos >= 1 and not retained`, true},
	{`size > 10`, true},
	{`qos in [0, 1]`, true},
	{`true`, true},
}

func TestMatch(t *testing.T) {
	for _, tt := range rules {
		p, err := compile(tt.expr)
		if err != nil {
			t.Errorf("Compile(%s): %v", tt.expr, err)
			continue
		}
		for range 2 { // what is reused must be clean
			if got, err := p.Match(terms(reading)); err != nil || got != tt.want {
				t.Errorf("%s = %v, %v, want %v", tt.expr, got, err, tt.want)
			}
		}
	}
}

func TestDataThatIsNoObject(t *testing.T) {
	for _, tt := range []struct {
		data, expr string
		want       bool
	}{
		{`hello`, `data == nil`, true},
		{`hello`, `data.x > 1`, false},
		{`hello`, `topic == "site/7/temp/raw"`, true},
		{``, `data == nil and size == 0`, true},
		{`21.5`, `data > 20`, true},
		{`"on"`, `data == "on"`, true},
		{`true`, `data`, true},
		{`[1,2]`, `len(data) == 2`, true},
		{`null`, `data == nil`, true},
	} {
		p, err := compile(tt.expr)
		if err != nil {
			t.Fatalf("Compile(%s): %v", tt.expr, err)
		}
		if got, err := p.Match(terms(tt.data)); err != nil || got != tt.want {
			t.Errorf("%s on %s = %v, %v, want %v", tt.expr, tt.data, got, err, tt.want)
		}
	}
}

func TestRuntimeErrorsAreNoMatch(t *testing.T) {
	for _, tt := range []struct{ expr, want string }{
		{`data.unit > 80`, "string > int"},
		{`data.temperature`, "true or false is needed, not a number"},
		{`data.unit and true`, "true or false is needed, not text"},
		{`data.absent + 1 > 3`, "<nil>"},
		{`level(-1) == "x"`, "levels count from 0"},
		{`len(data.temperature) > 1`, "len"},
	} {
		p, err := compile(tt.expr)
		if err != nil {
			t.Errorf("Compile(%s): %v", tt.expr, err)
			continue
		}
		got, err := p.Match(terms(reading))
		if got || err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s = %v, %v, want an error of one line with %q", tt.expr, got, err, tt.want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, tt := range []struct{ expr, want string }{
		{``, "condition is empty"},
		{`   `, "condition is empty"},
		{strings.Repeat("x", 1025), "1025 bytes, at most 1024"},
		{`data.temperature >`, "at column"},
		{`data.temperature > 80 )`, "at column 23"},
		{`topik == "a"`, `unknown name "topik": did you mean topic? (at column 1)`},
		{`topic`, "must yield true or false, not string"},
		{`1 + 1`, "must yield true or false, not int"},
		{`topic > 3`, "at column 7"},
		{`topic > 3 and data.t == 1`, "mismatched types string and int"}, // also where the rewriter put a call around it
		{`topic + 1 > 2`, "mismatched types string and int"},
		{`retained == "x"`, "at column 10"},
		{`topic.x == 1`, "at column"},
		{`level("a") == "x"`, "at column"},
		{`level() == "x"`, "at column"},
		{`level(1, 2) == "x"`, "at column"},
		{`now() == nil`, "now"},
		{`repeat("x", 1000000) == data.x`, "repeat"},
		{`reduce(data, #acc + #) > 1`, "reduce"},
		{`sortBy(data, #) == nil`, "sortBy"},
		{`let x = data + data; x == 1`, "let is not available in expressions, at column"},
		{`true; false`, "one expression"},
		{`any(1..1000000, # == data)`, "not available"},
		{`data.x in 1..9`, "ranges are not available in expressions: write x >= 1 and x <= 9"},
		{`any(data, any(#, # > 1))`, "loops do not nest in expressions"},
		{`any(data, # in data)`, "data is not available inside a loop"},
		{`data.s matches data.pattern`, "matches needs a pattern in quotes"},
		{`text matches "((a{1,30}){1,30})c$"`, "at most 250 are allowed"},
		{`topic matches "("`, "at column"},
		{`data.run() == 1`, "only functions can be called"},
		{`$env.data == 1`, "$env is not available"},
		{strings.Repeat("!", 300) + "true", "exceeds maximum allowed nodes"},
	} {
		p, err := compile(tt.expr)
		if err == nil {
			t.Errorf("Compile(%.60s) gave %T", tt.expr, p)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Compile(%.60s): %v, want one line with %q", tt.expr, err, tt.want)
		}
	}
}

func TestUnknownNamesAreRefusedWhereverTheyStand(t *testing.T) {
	for _, tt := range []struct{ expr, want string }{
		{`temperature > 80`, `unknown name "temperature": did you mean data.temperature? (at column 1)`},
		{`80 <= temperature`, `unknown name "temperature": did you mean data.temperature? (at column 7)`},
		{`payload.t > 3`, `unknown name "payload": did you mean data?`},
		{`reading.t > 3`, `unknown name "reading": did you mean data.reading?`},
		{`reading["t"] == 3`, `unknown name "reading": did you mean data.reading?`},
		{`topc == "x"`, `unknown name "topc": did you mean topic?`},
		{`Topic > "x"`, `unknown name "Topic": did you mean topic?`},
		{`qso > 0`, `unknown name "qso": did you mean qos?`},
		{`hot`, `unknown name "hot": did you mean data.hot?`},
		{`not hot`, `unknown name "hot": did you mean data.hot?`},
		{`data.ok and hot`, `unknown name "hot": did you mean data.hot?`},
		{`hot ? true : false`, `unknown name "hot": did you mean data.hot?`},
		{`true or hot > 3`, `unknown name "hot": did you mean data.hot?`},
		{`data[key] > 3`, `unknown name "key": did you mean data.key?`},
		{`len(readings) > 3`, `unknown name "readings": did you mean data.readings?`},
		{`data.x in limits`, `unknown name "limits": did you mean data.limits?`},
		{`(limit ?? 3) > 2`, `unknown name "limit": did you mean data.limit?`},
		{`{"a": b}.a > 1`, `unknown name "b": did you mean data.b?`},
		{`any(data.rooms, t > 3)`, `unknown name "t": did you mean #.t?`},
		{`any(rooms, .t > 3)`, `unknown name "rooms": did you mean data.rooms?`},
		{`any(data.rooms, .n > topc)`, `unknown name "topc": did you mean topic?`},
		{`hasprefix(topic, "a")`, `unknown name "hasprefix": did you mean hasPrefix?`},
		{`foo(data.x) > 2`, `unknown name "foo": the functions are level, all, any, `},
		{`lvel(1) > "2"`, `unknown name "lvel": did you mean level?`},
	} {
		if _, err := compile(tt.expr); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Compile(%s): %v, want %s", tt.expr, err, tt.want)
		}
	}
}

func TestOnePredicateManyGoroutines(t *testing.T) {
	p, err := compile(`data.temperature > 80 and level(1) == "7"`)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			data := `{"temperature":20}`
			if i%2 == 0 {
				data = `{"temperature":90}`
			}
			for range 200 {
				if got, err := p.Match(terms(data)); err != nil || got != (i%2 == 0) {
					t.Errorf("%s = %v, %v", data, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzCompile(f *testing.F) {
	f.Add(`data.temperature > 80 and level(1) == "7"`, reading)
	f.Add(`any(data.rooms, .t > 20 or #.hot)`, reading)
	f.Add(`data.list[-1] + data.a[data.b] ?? 3 in [1]`, `[[[1]]]`)
	f.Fuzz(func(t *testing.T, text, data string) {
		p, err := compile(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("Compile(%q): error of several lines: %v", text, err)
			}
			return
		}
		if p == nil { // all of it looks at state
			return
		}
		ev := event(data)
		first, err := p.Match(agent.Terms{Event: ev})
		if err != nil && first {
			t.Errorf("%q matches and fails: %v", text, err)
		}
		if again, _ := p.Match(agent.Terms{Event: ev}); again != first {
			t.Errorf("%q on %q gives %v, then %v", text, data, first, again)
		}
	})
}

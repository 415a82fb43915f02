// Conformance does what the event's topic says, with arguments from its data:
// each is its length as 32 bits, low byte first, and its bytes. The result is
// "=" and a value, or "!" and why not.
package main

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	skerry "github.com/skerry-edge/skerry/wasm/guest/go"
)

var boot string

func init() {
	skerry.Start(start)
	skerry.Handle(handle)
}

func main() {}

func start() error {
	skerry.Log(skerry.Info, "starting")
	value, ok := skerry.LookupConfig("BOOT")
	boot = value
	if !ok {
		return errors.New("BOOT is not set")
	}
	return nil
}

type args struct{ rest []byte }

func (a *args) next() []byte {
	if len(a.rest) < 4 {
		return nil
	}
	n := 4 + binary.LittleEndian.Uint32(a.rest)
	arg := a.rest[4:n]
	a.rest = a.rest[n:]
	return arg
}

func (a *args) text() string { return string(a.next()) }

func (a *args) int() int64 {
	n, err := strconv.ParseInt(a.text(), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func handle(ev *skerry.Event) error {
	a := &args{ev.Data()}
	switch ev.Subject() {
	case "echo":
		return skerry.Result(ev.Data())
	case "reject":
		return skerry.Reject(a.text())
	case "retry":
		return skerry.Retry(a.text())
	case "fail":
		return errors.New(a.text())
	case "trap":
		panic("trap")
	case "throw":
		panic(a.text())
	case "refused":
		return skerry.Publish(a.text(), nil, skerry.QoS0)
	case "why":
		return why(a.text())
	}
	value, err := do(ev, a)
	if err != nil {
		return skerry.Result([]byte("!" + name(err)))
	}
	return skerry.Result(append([]byte("="), value...))
}

func why(topic string) error {
	err := skerry.Publish(topic, nil, skerry.QoS0)
	if !errors.Is(err, skerry.ErrDenied) {
		return errors.New("not denied")
	}
	return skerry.Result([]byte("=" + err.Error()))
}

func name(err error) string {
	switch {
	case errors.Is(err, skerry.ErrInvalid):
		return "invalid"
	case errors.Is(err, skerry.ErrNotFound):
		return "not found"
	case errors.Is(err, skerry.ErrDenied):
		return "denied"
	case errors.Is(err, skerry.ErrLimit):
		return "limit"
	case errors.Is(err, skerry.ErrIO):
		return "io"
	}
	return err.Error()
}

func do(ev *skerry.Event, a *args) ([]byte, error) {
	switch ev.Subject() {
	case "boot":
		return []byte(boot), nil
	case "fields":
		return []byte(strings.Join([]string{
			ev.Subject(), ev.ContentType(), ev.Trigger(), ev.ID(), strconv.FormatInt(ev.Time().UnixMilli(), 10),
			ev.Source(), ev.Type(), strconv.Itoa(ev.Attempt()), ev.Function(),
		}, "|")), nil
	case "publish":
		return nil, skerry.Publish(a.text(), a.next(), skerry.Flag(a.int()))
	case "emit":
		return nil, skerry.Emit(a.text(), a.next())
	case "followup":
		return nil, skerry.Followup(a.text(), a.text(), a.next())
	case "log":
		skerry.Log(skerry.Level(a.int()), a.text())
		return nil, nil
	case "json":
		return json(a)
	}
	value, ok, err := state(ev.Subject(), a)
	if !ok {
		return outside(ev.Subject(), a)
	}
	return value, err
}

func state(command string, a *args) (value []byte, ok bool, err error) {
	switch command {
	case "get":
		value, err = skerry.Get(a.text())
	case "set":
		err = skerry.Set(a.text(), a.next(), time.Duration(a.int())*time.Second)
	case "delete":
		err = skerry.Delete(a.text())
	case "add":
		var n int64
		n, err = skerry.Add(a.text(), a.int())
		value = strconv.AppendInt(nil, n, 10)
	case "cas":
		var swapped bool
		key, old := a.text(), a.next()
		if len(old) == 0 {
			old = nil
		}
		swapped, err = skerry.CompareAndSet(key, old, a.next())
		value = map[bool][]byte{false: []byte("0"), true: []byte("1")}[swapped]
	case "list":
		var keys []string
		keys, err = skerry.Keys(a.text(), int(a.int()))
		value = []byte(strings.Join(keys, "\n"))
	default:
		return nil, false, nil
	}
	return value, true, err
}

func outside(command string, a *args) ([]byte, error) {
	switch command {
	case "now":
		return strconv.AppendInt(nil, time.Now().UnixMilli(), 10), nil
	case "random":
		b := make([]byte, a.int())
		return b, skerry.Random(b)
	case "sleep":
		return nil, skerry.Sleep(time.Duration(a.int()) * time.Millisecond)
	case "config":
		value, ok := skerry.LookupConfig(a.text())
		if !ok {
			return nil, skerry.ErrNotFound
		}
		return []byte(value), nil
	case "secret":
		value, err := skerry.Secret(a.text())
		return []byte(value), err
	case "http":
		return http(a.text())
	}
	return nil, errors.New("no such command")
}

// http takes a request apart to put it together again, as Do wants it.
func http(text string) ([]byte, error) {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	method, url, _ := strings.Cut(lines[0], " ")
	r := &skerry.Request{Method: method, URL: url, Body: []byte(body)}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		r.Header = append(r.Header, skerry.HeaderLine{Name: name, Value: value})
	}
	answer, err := skerry.Do(r)
	if err != nil {
		return nil, err
	}
	return append([]byte(strconv.Itoa(answer.Status)+"\n"+answer.Get("kind")+"\n"), answer.Body...), nil
}

func json(a *args) ([]byte, error) {
	what, doc := a.text(), a.next()
	v := skerry.JSON(doc)
	for step := a.text(); step != ""; step = a.text() {
		v = v.Get(step[1:])
	}
	switch what {
	case "raw":
		return v.Raw(), v.Err()
	case "text":
		s, err := v.Text()
		return []byte(s), err
	case "float":
		f, err := v.Float()
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(f)), err
	case "int":
		n, err := v.Int()
		return strconv.AppendInt(nil, n, 10), err
	}
	b, err := v.Bool()
	return map[bool][]byte{false: []byte("0"), true: []byte("1")}[b], err
}

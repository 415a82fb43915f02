package skerry

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Value is a JSON value as it stands in its text, or why there is none.
type Value struct {
	text []byte // from the value's first byte to the end of the text
	name string // of the member or element, "" of a whole text
	err  error
}

// JSON finds the value at path in a JSON text: the names of members, and of
// elements their numbers, "0" for the first. Of members with the same name it
// takes the first. It copies nothing, and reads no further than the value: what
// it passes by is not checked to be JSON.
func JSON(data []byte, path ...string) Value {
	i, last := jsonSpace(data, 0), ""
	for _, name := range path {
		at, err := jsonChild(data, i, name)
		if err != nil {
			return Value{err: err}
		}
		i, last = at, name
	}
	return Value{text: data[i:], name: last}
}

// Get is JSON within v.
func (v Value) Get(path ...string) Value {
	if v.err != nil || len(path) == 0 {
		return v
	}
	return JSON(v.text, path...)
}

// Members finds members of an object in one pass: values[i] is that of names[i].
// To ask for several at once is cheaper than one by one.
func (v Value) Members(values []Value, names ...string) {
	err := v.members(values, names)
	for i := range names {
		if values[i].text != nil {
			continue
		}
		if values[i].err = err; err == nil {
			values[i].err = absent(names[i])
		}
	}
}

// members fills in what it finds; an error is why it went no further.
func (v Value) members(values []Value, names []string) error {
	clear(values)
	b := v.text
	i := jsonSpace(b, 1)
	switch {
	case v.err != nil:
		return v.err
	case byteAt(b, 0) == '[':
		return nil
	case byteAt(b, 0) != '{' && jsonSkip(b, 0) < 0:
		return syntaxError(0)
	case byteAt(b, 0) != '{':
		return &worded{"JSON has no object around " + strconv.Quote(names[0]), ErrInvalid}
	case byteAt(b, i) == '}':
		return nil
	}
	for left := len(names); ; {
		key, at := jsonKey(b, i)
		if at < 0 {
			return syntaxError(i)
		}
		if k := jsonWhich(key, names); k >= 0 && values[k].text == nil {
			values[k].text, values[k].name = b[at:], names[k]
			if left--; left == 0 {
				return nil
			}
		}
		next, more := jsonNext(b, at)
		switch {
		case more:
			i = next
		case byteAt(b, next) == '}':
			return nil
		default:
			return syntaxError(next)
		}
	}
}

// Raw is the value's text, strings with their quotes; nil if there is none.
func (v Value) Raw() []byte {
	if end := jsonSkip(v.text, 0); end > 0 {
		return v.text[:end:end]
	}
	return nil
}

// Err is nil if there is such a value, ErrNotFound if not, and ErrInvalid where
// the text is not JSON.
func (v Value) Err() error {
	if v.err == nil && jsonSkip(v.text, 0) < 0 {
		return &worded{"JSON ends early, or is none", ErrInvalid}
	}
	return v.err
}

// IsNull tells whether the value is null; what is absent is not.
func (v Value) IsNull() bool { return string(v.Raw()) == "null" }

// Float is the value of a number.
func (v Value) Float() (float64, error) {
	text := v.Raw()
	if f, ok := jsonDecimal(text); ok {
		return f, nil
	}
	if jsonNumber(text) != numberNone {
		if f, err := strconv.ParseFloat(string(text), 64); err == nil {
			return f, nil
		}
	}
	return 0, v.want("a number")
}

// Int is the value of a number without fraction and exponent.
func (v Value) Int() (int64, error) {
	if text := v.Raw(); jsonNumber(text) == numberInt {
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, v.want("a whole number of 64 bits")
}

// Bool is the value of true and false.
func (v Value) Bool() (bool, error) {
	switch string(v.Raw()) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, v.want("true or false")
}

// Text is the value of a string, its escapes resolved.
func (v Value) Text() (string, error) {
	text := v.Raw()
	if len(text) < 2 || text[0] != '"' {
		return "", v.want("a string")
	}
	inner := text[1 : len(text)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), nil
	}
	s, ok := jsonUnescape(inner)
	if !ok {
		return "", v.want("a string with proper escapes")
	}
	return s, nil
}

// want is the error of a value that is something else.
func (v Value) want(what string) error {
	if err := v.Err(); err != nil {
		return err
	}
	text := v.Raw()
	if len(text) > 40 {
		text = text[:40]
	}
	holder := "JSON"
	if v.name != "" {
		holder = "JSON member " + strconv.Quote(v.name)
	}
	return &worded{holder + " holds " + string(text) + ", want " + what, ErrInvalid}
}

// In Go's WebAssembly every jump is dear: the loops below look bytes up in a
// table, call nothing, and read strings four bytes at a time.

// What a byte may be: whether it ends a number or a word, and whether it needs
// care within a string.
const (
	endsPlain  = 1
	stopString = 2
)

var jsonClass = [256]uint8{
	0: 2, 1: 2, 2: 2, 3: 2, 4: 2, 5: 2, 6: 2, 7: 2, 8: 2, '\t': 3, '\n': 3, 11: 2, 12: 2, '\r': 3, 14: 2, 15: 2,
	16: 2, 17: 2, 18: 2, 19: 2, 20: 2, 21: 2, 22: 2, 23: 2, 24: 2, 25: 2, 26: 2, 27: 2, 28: 2, 29: 2, 30: 2, 31: 2,
	' ': 1, ',': 1, ':': 1, '{': 1, '}': 1, '[': 1, ']': 1, '"': 3, '\\': 2,
}

// byteAt is b[i], 0 behind the end.
func byteAt(b []byte, i int) byte {
	if uint(i) < uint(len(b)) {
		return b[i]
	}
	return 0
}

// jsonSpace is the first index from i on that is no white space.
func jsonSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

func syntaxError(at int) error {
	return &worded{"not JSON at byte " + strconv.Itoa(at), ErrInvalid}
}

// jsonChild is where the member or element name of the value at i starts.
func jsonChild(b []byte, i int, name string) (int, error) {
	switch byteAt(b, i) {
	case '{':
		return jsonMember(b, i, name)
	case '[':
		return jsonElement(b, i, name)
	}
	if jsonSkip(b, i) < 0 {
		return 0, syntaxError(i)
	}
	return 0, &worded{"JSON has no object or list around " + strconv.Quote(name), ErrInvalid}
}

func absent(name string) error {
	return &wrapped{"JSON member ", strconv.Quote(name), ErrNotFound}
}

func jsonMember(b []byte, i int, name string) (int, error) {
	if i = jsonSpace(b, i+1); byteAt(b, i) == '}' {
		return 0, absent(name)
	}
	for {
		key, at := jsonKey(b, i)
		if at < 0 {
			return 0, syntaxError(i)
		}
		if jsonIs(key, name) {
			return at, nil
		}
		next, more := jsonNext(b, at)
		if !more {
			return 0, endOf(b, next, '}', name)
		}
		i = next
	}
}

// jsonKey is what stands between the quotes of the member at i, and where its
// value starts; -1 if there is none.
func jsonKey(b []byte, i int) (key []byte, at int) {
	if byteAt(b, i) != '"' {
		return nil, -1
	}
	end := jsonStringEnd(b, i)
	if end < 0 {
		return nil, -1
	}
	key = b[i+1 : end-1]
	if byteAt(b, end) != ':' {
		if end = jsonSpace(b, end); byteAt(b, end) != ':' {
			return nil, -1
		}
	}
	if end++; byteAt(b, end) <= ' ' {
		end = jsonSpace(b, end)
	}
	return key, end
}

// jsonWhich is the index of the name that key, which may have escapes, is; -1 if
// it is none.
func jsonWhich(key []byte, names []string) int {
	for k, name := range names {
		if string(key) == name {
			if bytes.IndexByte(key, '\\') < 0 {
				return k
			}
			break
		}
	}
	if bytes.IndexByte(key, '\\') >= 0 {
		for k, name := range names {
			if jsonIs(key, name) {
				return k
			}
		}
	}
	return -1
}

// jsonIs tells whether key, which may have escapes, is name.
func jsonIs(key []byte, name string) bool {
	if string(key) == name {
		return len(key) == 0 || bytes.IndexByte(key, '\\') < 0
	}
	if len(key) < len(name) || bytes.IndexByte(key, '\\') < 0 {
		return false
	}
	text, ok := jsonUnescape(key) // which is shorter
	return ok && text == name
}

func jsonElement(b []byte, i int, name string) (int, error) {
	left, err := strconv.ParseUint(name, 10, 31)
	if i = jsonSpace(b, i+1); err != nil || byteAt(b, i) == ']' {
		return 0, absent(name)
	}
	for ; left > 0; left-- {
		next, more := jsonNext(b, i)
		if !more {
			return 0, endOf(b, next, ']', name)
		}
		i = next
	}
	return i, nil
}

// jsonNext passes by the value at i, to the one behind the comma. Without one
// it is where the comma is not.
func jsonNext(b []byte, i int) (next int, more bool) {
	end := i
	for end < len(b) && jsonClass[b[end]]&endsPlain == 0 {
		end++
	}
	if end == i { // no number or word
		if end = jsonSkip(b, i); end < 0 {
			return len(b), false
		}
	}
	if byteAt(b, end) != ',' {
		if end = jsonSpace(b, end); byteAt(b, end) != ',' {
			return end, false
		}
	}
	if end++; byteAt(b, end) > ' ' {
		return end, true
	}
	return jsonSpace(b, end), true
}

// endOf is why there is no next value at i.
func endOf(b []byte, i int, closing byte, name string) error {
	if byteAt(b, i) == closing {
		return absent(name)
	}
	return syntaxError(i)
}

// jsonSkip is the index behind the value at i; -1 if there is none.
func jsonSkip(b []byte, i int) int {
	start := i
	for i < len(b) && jsonClass[b[i]]&endsPlain == 0 {
		i++
	}
	if i > start {
		return i
	}
	switch byteAt(b, i) {
	case '"':
		return jsonStringEnd(b, i)
	case '{', '[':
		return jsonNestEnd(b, i)
	}
	return -1
}

func jsonNestEnd(b []byte, i int) int {
	for depth := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			end := jsonStringEnd(b, i)
			if end < 0 {
				return -1
			}
			i = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// jsonStringEnd is the index behind the string at i; -1 if it does not end.
func jsonStringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		for i+4 <= len(b) {
			next := b[i : i+4]
			if (jsonClass[next[0]]|jsonClass[next[1]]|jsonClass[next[2]]|jsonClass[next[3]])&stopString != 0 {
				break
			}
			i += 4
		}
		switch c := byteAt(b, i); {
		case c == '"':
			return i + 1
		case c == '\\':
			i++
		case c < ' ':
			return -1
		}
	}
	return -1
}

// jsonUnescape resolves the escapes in what stands between quotes.
func jsonUnescape(inner []byte) (string, bool) {
	out := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); {
		if inner[i] != '\\' {
			out = append(out, inner[i])
			i++
			continue
		}
		r, n := jsonEscape(inner[i:])
		if n == 0 {
			return "", false
		}
		out = utf8.AppendRune(out, r)
		i += n
	}
	return string(out), true
}

// jsonEscape reads the escape that b starts with and tells its length, 0 if it
// is none. Half of a surrogate pair is U+FFFD.
func jsonEscape(b []byte) (rune, int) {
	if c := byteAt(b, 1); c != 'u' {
		i := bytes.IndexByte([]byte(`"\/bfnrt`), c)
		if i < 0 {
			return 0, 0
		}
		return rune("\"\\/\b\f\n\r\t"[i]), 2
	}
	r := jsonHex(b, 2)
	if r < 0 {
		return 0, 0
	}
	if utf16.IsSurrogate(r) && byteAt(b, 6) == '\\' && byteAt(b, 7) == 'u' {
		if pair := utf16.DecodeRune(r, jsonHex(b, 8)); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return r, 6 // AppendRune makes U+FFFD of a lone half
}

// jsonHex is the four hexadecimal digits at i, -1 if they are not there.
func jsonHex(b []byte, i int) (r rune) {
	for end := i + 4; i < end; i++ {
		c := byteAt(b, i)
		switch {
		case c-'0' < 10:
			c -= '0'
		case c|0x20-'a' < 6:
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// jsonDecimal reads what most numbers are: up to 15 digits without an exponent,
// for which one division is exact.
func jsonDecimal(b []byte) (float64, bool) {
	i, m, places := 0, 0, -1
	if byteAt(b, 0) == '-' {
		i = 1
	}
	start := i
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c-'0' < 10:
			m = m*10 + int(c-'0')
			if places >= 0 {
				places++
			}
		case c == '.' && places < 0 && i > start:
			places = 0
		default:
			return 0, false
		}
	}
	if n := i - start; n == 0 || n > 15 || places == 0 || b[start] == '0' && n > 1 && b[start+1] != '.' {
		return 0, false
	}
	f := float64(m)
	if places > 0 {
		f /= jsonTens[places]
	}
	if start == 1 {
		f = -f
	}
	return f, true
}

var jsonTens = [16]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// Kinds of numbers.
const (
	numberNone = iota
	numberInt
	numberFloat
)

// jsonNumber tells what number b is, by the grammar of JSON.
func jsonNumber(b []byte) int {
	i, kind := 0, numberInt
	if byteAt(b, 0) == '-' {
		i++
	}
	start := i
	if i = jsonDigits(b, i); i == start || b[start] == '0' && i > start+1 {
		return numberNone
	}
	if byteAt(b, i) == '.' {
		kind = numberFloat
		if start, i = i+1, jsonDigits(b, i+1); i == start {
			return numberNone
		}
	}
	if byteAt(b, i)|0x20 == 'e' {
		kind = numberFloat
		if i++; byteAt(b, i) == '+' || byteAt(b, i) == '-' {
			i++
		}
		if start, i = i, jsonDigits(b, i); i == start {
			return numberNone
		}
	}
	if i != len(b) {
		return numberNone
	}
	return kind
}

func jsonDigits(b []byte, i int) int {
	for byteAt(b, i)-'0' < 10 {
		i++
	}
	return i
}

package skerry

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Value is a JSON value as it stands in its text, or why there is none.
type Value struct {
	text  []byte
	fault jsonFault
	name  string // the part of the path that could not be followed
	at    int    // byte of the text where it stops being JSON
}

type jsonFault uint8

const (
	_             jsonFault = iota
	faultAbsent             // no such member or element
	faultSyntax             // not JSON
	faultNoObject           // nothing that has members or elements
)

// JSON finds the value at path in a JSON text: the names of members, and of
// elements their numbers, "0" for the first. Of members with the same name it
// takes the first. It allocates nothing, copies nothing, and reads no further
// than the value: what it passes by is not checked to be JSON.
func JSON(data []byte, path ...string) Value {
	i := jsonSpace(data, 0)
	for _, name := range path {
		at, fault := jsonChild(data, i, name)
		if fault != 0 {
			return Value{fault: fault, name: name, at: at}
		}
		i = at
	}
	end := jsonSkip(data, i)
	if end < 0 {
		return Value{fault: faultSyntax, at: min(i, len(data))}
	}
	return Value{text: data[i:end:end]}
}

// Get is JSON within v.
func (v Value) Get(path ...string) Value {
	if v.fault != 0 {
		return v
	}
	return JSON(v.text, path...)
}

// Raw is the value's text, strings with their quotes; nil if there is none.
func (v Value) Raw() []byte { return v.text }

// Err is nil if there is such a value, ErrNotFound if not, and ErrInvalid where
// the text is not JSON.
func (v Value) Err() error {
	switch v.fault {
	case faultAbsent:
		return &wrapped{"JSON member ", strconv.Quote(v.name), ErrNotFound}
	case faultNoObject:
		return &wrapped{"JSON has no object or list around ", strconv.Quote(v.name), ErrInvalid}
	case faultSyntax:
		return &wrapped{"not JSON at byte ", strconv.Itoa(v.at), ErrInvalid}
	}
	return nil
}

// IsNull tells whether the value is null; what is absent is not.
func (v Value) IsNull() bool { return string(v.text) == "null" }

// Float is the value of a number.
func (v Value) Float() (float64, error) {
	if jsonNumber(v.text) != numberNone {
		if f, err := strconv.ParseFloat(string(v.text), 64); err == nil {
			return f, nil
		}
	}
	return 0, v.want("a number")
}

// Int is the value of a number without fraction and exponent.
func (v Value) Int() (int64, error) {
	if jsonNumber(v.text) == numberInt {
		if n, err := strconv.ParseInt(string(v.text), 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, v.want("a whole number of 64 bits")
}

// Bool is the value of true and false.
func (v Value) Bool() (bool, error) {
	switch string(v.text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, v.want("true or false")
}

// Text is the value of a string, its escapes resolved.
func (v Value) Text() (string, error) {
	if len(v.text) < 2 || v.text[0] != '"' {
		return "", v.want("a string")
	}
	inner := v.text[1 : len(v.text)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), nil
	}
	text, ok := jsonUnescape(inner)
	if !ok {
		return "", v.want("a string with proper escapes")
	}
	return text, nil
}

// want is the error of a value that is something else.
func (v Value) want(what string) error {
	if err := v.Err(); err != nil {
		return err
	}
	text := v.text
	if len(text) > 40 {
		text = text[:40]
	}
	return &wrapped{"JSON holds ", string(text) + ", want " + what, ErrInvalid}
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

// jsonChild is where the member or element name of the value at i starts.
func jsonChild(b []byte, i int, name string) (int, jsonFault) {
	switch byteAt(b, i) {
	case '{':
		return jsonMember(b, i, name)
	case '[':
		return jsonElement(b, i, name)
	}
	if end := jsonSkip(b, i); end < 0 {
		return i, faultSyntax
	}
	return i, faultNoObject
}

func jsonMember(b []byte, i int, name string) (int, jsonFault) {
	i = jsonSpace(b, i+1)
	if byteAt(b, i) == '}' {
		return i, faultAbsent
	}
	for {
		end := -1
		if byteAt(b, i) == '"' {
			end = jsonStringEnd(b, i)
		}
		if end < 0 {
			return i, faultSyntax
		}
		key := b[i+1 : end-1]
		if i = jsonSpace(b, end); byteAt(b, i) != ':' {
			return i, faultSyntax
		}
		i = jsonSpace(b, i+1)
		if jsonKeyIs(key, name) {
			return i, 0
		}
		next, more, ok := jsonNext(b, i, '}')
		if !ok {
			return next, faultSyntax
		}
		if !more {
			return next, faultAbsent
		}
		i = next
	}
}

func jsonElement(b []byte, i int, name string) (int, jsonFault) {
	left, err := strconv.ParseUint(name, 10, 31)
	if i = jsonSpace(b, i+1); err != nil || byteAt(b, i) == ']' {
		return i, faultAbsent
	}
	for ; left > 0; left-- {
		next, more, ok := jsonNext(b, i, ']')
		if !ok {
			return next, faultSyntax
		}
		if !more {
			return next, faultAbsent
		}
		i = next
	}
	return i, 0
}

// jsonNext passes by the value at i: to the one behind the comma, or, with more
// false, to the bracket that closes.
func jsonNext(b []byte, i int, closing byte) (next int, more, ok bool) {
	end := jsonSkip(b, i)
	if end < 0 {
		return i, false, false
	}
	i = jsonSpace(b, end)
	switch byteAt(b, i) {
	case ',':
		return jsonSpace(b, i+1), true, true
	case closing:
		return i, false, true
	}
	return i, false, false
}

// jsonSkip is the index behind the value at i; -1 if there is none.
func jsonSkip(b []byte, i int) int {
	switch byteAt(b, i) {
	case '"':
		return jsonStringEnd(b, i)
	case '{', '[':
		return jsonNestEnd(b, i)
	}
	start := i
	for i < len(b) && isPlain(b[i]) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// isPlain tells whether c cannot end a number, true, false or null.
func isPlain(c byte) bool {
	switch c {
	case ',', '}', ']', ' ', '\n', '\r', '\t', ':', '"', '{', '[':
		return false
	}
	return true
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
		switch c := b[i]; {
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

// jsonKeyIs compares what stands between a key's quotes with name.
func jsonKeyIs(key []byte, name string) bool {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key) == name
	}
	text, ok := jsonUnescape(key)
	return ok && text == name
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

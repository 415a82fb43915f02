package agent

import (
	"math"
	"strconv"
)

// scanner finds where JSON values end. Its methods take the position of a value
// and return the one behind it, or invalid where encoding/json would fail.
type scanner struct {
	data    []byte
	members []member // of the root, collected by it
}

const (
	invalid    = -1
	maxNested  = 10_000 // as in encoding/json
	safeDigits = 300    // a number of fewer characters and without exponent fits a float64
)

// root is value for a whole document; it notes the members of an object.
func (s *scanner) root(at int) int {
	if len(s.data) > math.MaxInt32 {
		return invalid
	}
	if at < len(s.data) && s.data[at] == '{' {
		return s.object(at, 1, true)
	}
	return s.value(at, 0)
}

// value takes the number of lists and objects that it is in.
func (s *scanner) value(at, depth int) int {
	if at >= len(s.data) {
		return invalid
	}
	switch c := s.data[at]; c {
	case '"':
		return s.text(at)
	case '{':
		return s.object(at, depth+1, false)
	case '[':
		return s.list(at, depth+1)
	case 't':
		return s.word(at, "true")
	case 'f':
		return s.word(at, "false")
	case 'n':
		return s.word(at, "null")
	default:
		return s.number(at)
	}
}

func (s *scanner) space(at int) int {
	for at < len(s.data) && s.data[at] <= ' ' && (s.data[at] == ' ' || s.data[at] == '\n' || s.data[at] == '\t' || s.data[at] == '\r') {
		at++
	}
	return at
}

func (s *scanner) is(at int, c byte) bool { return at < len(s.data) && s.data[at] == c }

func (s *scanner) word(at int, word string) int {
	if end := at + len(word); end <= len(s.data) && string(s.data[at:end]) == word {
		return end
	}
	return invalid
}

func (s *scanner) object(at, depth int, note bool) int {
	if depth > maxNested {
		return invalid
	}
	at = s.space(at + 1)
	if s.is(at, '}') {
		return at + 1
	}
	var m member
	for {
		to := &m
		if note {
			s.members = append(s.members, m)
			to = &s.members[len(s.members)-1]
		}
		end := s.member(at, depth, to)
		if end == invalid {
			return invalid
		}
		switch at = s.space(end); {
		case s.is(at, ','):
			at = s.space(at + 1)
		case s.is(at, '}'):
			return at + 1
		default:
			return invalid
		}
	}
}

// member reads "name": value, and writes down where they are.
func (s *scanner) member(at, depth int, to *member) int {
	if !s.is(at, '"') {
		return invalid
	}
	at++
	end := at
	for end < len(s.data) && inKey[s.data[end]] {
		end++
	}
	if to.odd = !s.is(end, '"'); to.odd {
		if end = s.text(at-1) - 1; end < 0 {
			return invalid
		}
	}
	to.key, to.keyEnd = uint32(at), uint32(end)
	if at = s.space(end + 1); !s.is(at, ':') {
		return invalid
	}
	at = s.space(at + 1)
	end = s.value(at, depth)
	to.value, to.valueEnd = uint32(at), uint32(end)
	return end
}

func (s *scanner) list(at, depth int) int {
	if depth > maxNested {
		return invalid
	}
	at = s.space(at + 1)
	if s.is(at, ']') {
		return at + 1
	}
	for {
		end := s.value(at, depth)
		if end == invalid {
			return invalid
		}
		switch at = s.space(end); {
		case s.is(at, ','):
			at = s.space(at + 1)
		case s.is(at, ']'):
			return at + 1
		default:
			return invalid
		}
	}
}

// inText are the bytes that stand for themselves in a JSON text. In a key that has
// others than those inKey, the characters of its name have to be decoded.
var inText, inKey = func() (text, key [256]bool) {
	for c := range text {
		text[c] = c >= ' ' && c != '"' && c != '\\'
		key[c] = text[c] && c < 0x80
	}
	return text, key
}()

func (s *scanner) text(at int) int {
	data := s.data
	for at++; at < len(data); at++ {
		switch c := data[at]; {
		case inText[c]:
		case c == '"':
			return at + 1
		case c == '\\':
			if at = s.escape(at + 1); at == invalid {
				return invalid
			}
		default:
			return invalid
		}
	}
	return invalid
}

// escape takes what is behind a backslash and returns its last byte.
func (s *scanner) escape(at int) int {
	if at >= len(s.data) {
		return invalid
	}
	switch s.data[at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return at
	case 'u':
		if at+4 >= len(s.data) {
			return invalid
		}
		for _, c := range s.data[at+1 : at+5] {
			if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return invalid
			}
		}
		return at + 4
	}
	return invalid
}

func (s *scanner) number(at int) int {
	start, exponent := at, false
	if s.is(at, '-') {
		at++
	}
	switch {
	case s.is(at, '0'):
		at++
	default:
		if at = s.digits(at); at == invalid {
			return invalid
		}
	}
	if s.is(at, '.') {
		if at = s.digits(at + 1); at == invalid {
			return invalid
		}
	}
	if s.is(at, 'e') || s.is(at, 'E') {
		exponent = true
		if at++; s.is(at, '+') || s.is(at, '-') {
			at++
		}
		if at = s.digits(at); at == invalid {
			return invalid
		}
	}
	if exponent || at-start > safeDigits {
		if _, err := strconv.ParseFloat(string(s.data[start:at]), 64); err != nil {
			return invalid // encoding/json decodes no document with a number that is too large
		}
	}
	return at
}

// digits wants one at least.
func (s *scanner) digits(at int) int {
	start := at
	for at < len(s.data) && isDigit(s.data[at]) {
		at++
	}
	if at == start {
		return invalid
	}
	return at
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

package skerry

import (
	"bytes"
	"strconv"
)

// Field finds the value of a member of the outermost JSON object in data: a
// slice of data, strings without their quotes and still escaped. It trusts the
// text to be JSON. It costs a small part of what encoding/json does.
func Field(data []byte, name string) ([]byte, bool) {
	depth, key := 0, false
	for i := 0; i < len(data); {
		switch c := data[i]; c {
		case '"':
			end := stringEnd(data, i)
			if end < 0 {
				return nil, false
			}
			if key && depth == 1 && string(data[i+1:end]) == name {
				return value(data[end+1:])
			}
			key = false
			i = end
		case '{', '[':
			depth++
			key = c == '{'
		case '}', ']':
			depth--
		case ',':
			key = depth == 1
		}
		i++
	}
	return nil, false
}

// Number is Field for a number.
func Number(data []byte, name string) (float64, bool) {
	v, ok := Field(data, name)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}

// stringEnd is the index of the quote that closes the string opened at i.
func stringEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// value cuts the value out of what follows a key: ` : value , …`.
func value(data []byte) ([]byte, bool) {
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) == 0 || data[0] != ':' {
		return nil, false
	}
	data = bytes.TrimLeft(data[1:], " \t\r\n")
	if len(data) == 0 {
		return nil, false
	}
	if data[0] == '"' {
		end := stringEnd(data, 0)
		if end < 0 {
			return nil, false
		}
		return data[1:end], true
	}
	return bytes.TrimRight(data[:plainEnd(data)], " \t\r\n"), true
}

// plainEnd is where a value that is no string ends.
func plainEnd(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			if i = stringEnd(data, i); i < 0 {
				return len(data)
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(data)
}

package agent

import (
	"encoding/json"
	"math"
)

// decodedKey takes the bytes between the quotes.
func decodedKey(key []byte) (name string) {
	quoted := make([]byte, 0, len(key)+2)
	quoted = append(append(append(quoted, '"'), key...), '"')
	_ = json.Unmarshal(quoted, &name) // it is a part of valid JSON
	return name
}

// child returns what a step leads to from value, which is valid.
func child(value []byte, to Step) []byte {
	s := scanner{data: value}
	switch {
	case value[0] == '{' && !to.Element:
		return s.named(to.Name)
	case value[0] == '[' && to.Element:
		return s.element(to.Index)
	}
	return nil
}

// named returns the last member of that name.
func (s *scanner) named(name string) (found []byte) {
	var m member
	for at := s.space(1); s.data[at] != '}'; {
		end := s.member(at, 0, &m)
		if m.named(s.data, name) {
			found = s.data[m.value:m.valueEnd]
		}
		if at = s.space(end); s.data[at] == ',' {
			at = s.space(at + 1)
		}
	}
	return found
}

// element returns the element of that index; one below 0 counts from the end.
func (s *scanner) element(index int) []byte {
	if index < 0 {
		index += s.elements(math.MaxInt, nil)
	}
	var found []byte
	if index >= 0 {
		s.elements(index, &found)
	}
	return found
}

// elements goes through a list up to the element that is wanted, and counts.
func (s *scanner) elements(wanted int, found *[]byte) (n int) {
	for at := s.space(1); s.data[at] != ']'; n++ {
		end := s.value(at, 0)
		if n == wanted {
			*found = s.data[at:end]
			return n
		}
		if at = s.space(end); s.data[at] == ',' {
			at = s.space(at + 1)
		}
	}
	return n
}

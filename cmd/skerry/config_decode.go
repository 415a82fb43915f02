package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// problems are mistakes in a configuration, each "key: sentence".
type problems []string

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, path+": "+fmt.Sprintf(format, args...))
}

// without returns the problems of p that do not follow from unread: in the
// same key, or in the same entry of a list or the embedded broker, whose keys
// need each other.
func (p problems) without(unread problems) problems {
	return slices.DeleteFunc(p, func(s string) bool {
		return slices.ContainsFunc(unread, func(u string) bool {
			rest, ok := strings.CutPrefix(s, scope(u))
			return ok && strings.ContainsAny(rest[:1], ":.[")
		})
	})
}

// scope is the part of a configuration that a problem may have made others in.
func scope(problem string) string {
	path, _, _ := strings.Cut(problem, ":")
	if i := strings.LastIndexByte(path, ']'); i >= 0 {
		return path[:i+1]
	}
	for _, section := range []string{"broker", "http_in", "page"} {
		if strings.HasPrefix(path, section+".") {
			return section
		}
	}
	return path
}

// in makes one error of p that names on each line where the mistake stands:
// in the file, or in the variable that replaces its value.
func (p problems) in(file string) error {
	errs := make([]error, len(p))
	for i, s := range p {
		where := file
		path, _, _ := strings.Cut(s, ":")
		if name := envName(strings.Split(path, ".")); os.Getenv(name) != "" {
			where = name
		}
		errs[i] = errors.New(where + ": " + s)
	}
	return errors.Join(errs...)
}

// lowerKeys returns a section of a file, and those in it, with keys in lower case.
func lowerKeys(section map[string]any) map[string]any {
	lower := make(map[string]any, len(section))
	for _, key := range slices.Sorted(maps.Keys(section)) { // of Data and data the same wins each time
		lower[strings.ToLower(key)] = lowerInside(section[key])
	}
	return lower
}

func lowerInside(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return lowerKeys(v)
	case map[any]any: // some of its keys are no text
		section := make(map[string]any, len(v))
		for key, value := range v {
			section[fmt.Sprint(key)] = value
		}
		return lowerKeys(section)
	case []any:
		for i := range v {
			v[i] = lowerInside(v[i])
		}
	}
	return v
}

// put sets the value of a key in nested maps.
func put(to map[string]any, key []string, value any) {
	last := len(key) - 1
	for _, part := range key[:last] {
		next, ok := to[part].(map[string]any)
		if !ok {
			next = map[string]any{}
			to[part] = next
		}
		to = next
	}
	to[key[last]] = value
}

// decodeConfig fills c from nested maps. It says for each mistake where it
// is and what would be right.
func decodeConfig(from map[string]any, c *Config) problems {
	var p problems
	decodeStruct(from, reflect.ValueOf(c).Elem(), "", &p)
	return p
}

func decodeStruct(from map[string]any, to reflect.Value, path string, p *problems) {
	fields, known := structFields(to.Type()), structKeys(to.Type())
	keys := make([]string, 0, len(from))
	for k := range from {
		keys = append(keys, k)
	}
	slices.Sort(keys) // mistakes are told in the same order each time
	for _, k := range keys {
		i := slices.Index(known, k)
		if i < 0 {
			p.add(join(path, k), "there is no such key; %s", suggest(k, known))
			continue
		}
		decodeValue(from[k], to.FieldByIndex(fields[i].Index), join(path, k), p)
	}
}

// structFields lists t's fields that keys set, in their order, with those of
// embedded structs.
func structFields(t reflect.Type) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
		return f.Anonymous || f.Tag.Get("key") == "-"
	})
}

// structKeys lists their keys.
func structKeys(t reflect.Type) []string {
	fields := structFields(t)
	keys := make([]string, len(fields))
	for i := range keys {
		keys[i] = fields[i].Tag.Get("key")
	}
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func decodeValue(from any, to reflect.Value, path string, p *problems) {
	if from == nil { // "key:" with nothing behind it
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		m, ok := from.(map[string]any)
		if !ok {
			p.add(path, "is a section with keys of its own (%s), not a value", strings.Join(structKeys(to.Type()), ", "))
			return
		}
		decodeStruct(m, to, path, p)
	case reflect.Slice:
		decodeList(from, to, path, p)
	default:
		if err := decodeScalar(from, to); err != nil {
			p.add(path, "%s", withoutCredential(path, err))
		}
	}
}

func decodeList(from any, to reflect.Value, path string, p *problems) {
	items, ok := from.([]any)
	if text, isText := from.(string); isText && to.Type().Elem().Kind() == reflect.String {
		items, ok = splitList(text), true // an environment variable
	}
	if !ok {
		p.add(path, `is a list: start each entry with "- "`)
		return
	}
	to.Set(reflect.MakeSlice(to.Type(), len(items), len(items)))
	for i, item := range items {
		decodeValue(item, to.Index(i), fmt.Sprintf("%s[%d]", path, i), p)
	}
}

// splitList splits the comma separated list of an environment variable.
func splitList(text string) []any {
	var items []any
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			items = append(items, part)
		}
	}
	return items
}

func decodeScalar(from any, to reflect.Value) error {
	switch ptr := to.Addr().Interface().(type) {
	case *time.Duration:
		return parseDuration(from, ptr)
	case *Size:
		return parseSize(from, ptr)
	case *int64:
		return parseSize(from, (*Size)(ptr))
	case *Share:
		return parseShare(from, ptr)
	case *string:
		text, ok := from.(string)
		if _, section := from.(map[string]any); section { // JSON is YAML
			return errors.New("is text: put it in quotes, or on lines of its own behind a |")
		}
		if !ok {
			return fmt.Errorf("is text: put %v in quotes", from)
		}
		*ptr = text
	case *bool:
		return parseBool(from, ptr)
	case *int:
		return parseInt(from, ptr)
	}
	return nil
}

func parseBool(from any, to *bool) error {
	switch v := from.(type) {
	case bool:
		*to = v
		return nil
	case string: // an environment variable
		if b, err := strconv.ParseBool(v); err == nil {
			*to = b
			return nil
		}
	}
	return fmt.Errorf("is true or false, not %v", from)
}

func parseInt(from any, to *int) error {
	n, err := strconv.ParseInt(fmt.Sprint(from), 10, 32)
	if err != nil {
		return fmt.Errorf("is a whole number up to %d, not %v", math.MaxInt32, from)
	}
	*to = int(n)
	return nil
}

func parseDuration(from any, to *time.Duration) error {
	text, ok := from.(string)
	if d, err := time.ParseDuration(text); ok && err == nil && d >= 0 {
		*to = d
		return nil
	}
	return fmt.Errorf("is a duration with a unit, such as 500ms, 30s or 5m, not %v", from)
}

// Size is a number of bytes, written "64MiB" or "64Mi" (1024 based), "64MB"
// (1000 based) or as a plain number.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"kib", 1 << 10},
	{"mib", 1 << 20},
	{"gib", 1 << 30},
	{"ki", 1 << 10},
	{"mi", 1 << 20},
	{"gi", 1 << 30},
	{"kb", 1e3},
	{"mb", 1e6},
	{"gb", 1e9},
	{"b", 1},
}

func parseSize(from any, to *Size) error {
	text, unit := strings.ToLower(strings.TrimSpace(fmt.Sprint(from))), int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			text, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return fmt.Errorf("is a size, such as 512KiB, 64MiB or 1GiB, not %v", from)
	}
	*to = Size(n * unit)
	return nil
}

// suggest names the key that was probably meant, or all there are.
func suggest(key string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := editDistance(key, k); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "there are " + strings.Join(known, ", ")
}

// editDistance counts the letters to insert, delete or change to make b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

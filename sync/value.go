package fleetsync

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Quantity is a number of bytes, written "4096", "64Ki", "32Mi" or "1Gi"; a B
// may follow, as in "32MiB".
type Quantity int64

var quantityForm = regexp.MustCompile(`^([1-9][0-9]{0,15})(?:(Ki|Mi|Gi)B?)?$`)

var quantityUnits = []struct {
	suffix string
	shift  uint
}{{"Gi", 30}, {"Mi", 20}, {"Ki", 10}}

// UnmarshalText reads "32Mi" and its like.
func (q *Quantity) UnmarshalText(text []byte) error {
	m := quantityForm.FindStringSubmatch(string(text))
	if m == nil {
		return fmt.Errorf("%.40q is no size: write whole bytes, or Ki, Mi, Gi as in 32Mi", text)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return fmt.Errorf("%.40q is no size: %w", text, err)
	}
	for _, u := range quantityUnits {
		if m[2] == u.suffix {
			n <<= u.shift
		}
	}
	if n > 1<<50 || n <= 0 {
		return fmt.Errorf("%.40q is more than any device has", text)
	}
	*q = Quantity(n)
	return nil
}

// MarshalText writes the shortest exact form.
func (q Quantity) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// String is the shortest exact form, "32Mi".
func (q Quantity) String() string {
	for _, u := range quantityUnits {
		if q > 0 && q%(1<<u.shift) == 0 {
			return strconv.FormatInt(int64(q>>u.shift), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(q), 10)
}

// Duration is a length of time, written "500ms", "2s" or "1h30m".
type Duration time.Duration

var durationForm = regexp.MustCompile(`^([0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h))+$`)

// UnmarshalText reads "2s" and its like; at least a millisecond.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || !durationForm.Match(text) {
		return fmt.Errorf("%.40q is no duration: write 500ms, 2s, 1m30s or 6h", text)
	}
	if v < time.Millisecond {
		return fmt.Errorf("%.40q is shorter than 1ms", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes it as UnmarshalText reads it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

var (
	nameForm    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	digestForm  = regexp.MustCompile(`^sha256:[a-f0-9]{64}$`)
	versionForm = regexp.MustCompile(`^(0|[1-9]\d{0,9})\.(0|[1-9]\d{0,9})\.(0|[1-9]\d{0,9})(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)
	targetForm  = regexp.MustCompile(`^central/[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
)

const maxVersion = 64 // characters

func validVersion(s string) bool { return len(s) <= maxVersion && versionForm.MatchString(s) }

// compareVersions orders valid semantic versions: precedence first, then text,
// so that the order is total.
func compareVersions(a, b string) int {
	m, n := versionForm.FindStringSubmatch(a), versionForm.FindStringSubmatch(b)
	if m == nil || n == nil {
		return strings.Compare(a, b)
	}
	for i := 1; i <= 3; i++ {
		if c := compareNumbers(m[i], n[i]); c != 0 {
			return c
		}
	}
	return cmp.Or(comparePrerelease(m[4], n[4]), strings.Compare(a, b))
}

// comparePrerelease orders "-rc.1" and its like; a release is above all of them.
func comparePrerelease(a, b string) int {
	if a == "" || b == "" {
		return cmp.Compare(len(b), len(a))
	}
	x, y := strings.Split(a[1:], "."), strings.Split(b[1:], ".")
	for i := 0; i < len(x) && i < len(y); i++ {
		if c := compareIdentifiers(x[i], y[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

func compareIdentifiers(a, b string) int {
	switch an, bn := isNumber(a), isNumber(b); {
	case an && bn:
		return compareNumbers(a, b)
	case an:
		return -1
	case bn:
		return 1
	}
	return strings.Compare(a, b)
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

// compareNumbers orders decimal numbers of any length, without leading zeros.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

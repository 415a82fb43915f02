package uplink

import (
	"net/url"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// pathTemplate makes what stands behind the path of a URL: text with {names},
// of which values are escaped as one segment, {names...}, of which slashes
// stay; or with ${expressions}, of which slashes stay as well.
type pathTemplate struct {
	parts  []pathPart
	expr   agent.Template // instead of parts; nil: none
	device string
}

// pathPart is a piece of text and the name of what stands behind it.
type pathPart struct {
	text, name string
	rest       bool // slashes stay
}

var pathNames = []string{"subject", "id", "key", "source", "type", "function", "device"}

// newPath takes the option path; "" for a template that makes nothing.
func newPath(c *TargetConfig, text string) (*pathTemplate, error) {
	t := &pathTemplate{device: c.Device}
	if text == "" {
		return t, nil
	}
	isExpr := strings.Contains(text, "${")
	if text[0] != '/' || !isExpr && strings.ContainsAny(text, "?# \\") {
		return nil, mistake("path", "begins with a slash and holds no ?, # or space; a query belongs into url")
	}
	if _, err := url.Parse(text); err != nil && !isExpr {
		return nil, mistake("path", "is no part of a URL: write a percent sign as %%25, and no control characters")
	}
	if isExpr {
		var err error
		if t.expr, err = compileTemplate(c, text); err != nil {
			return nil, mistake("path", "cannot be used: %v", err)
		}
		return t, nil
	}
	var err error
	t.parts, err = parseParts("path", text)
	return t, err
}

// parseParts reads text with {names}.
func parseParts(option, text string) (parts []pathPart, err error) {
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		part := pathPart{text: before}
		if found {
			name, behind, closed := strings.Cut(after, "}")
			part.name, part.rest = strings.CutSuffix(name, "...")
			if !closed || !slices.Contains(pathNames, part.name) {
				return nil, mistake(option, "holds {%.40s, which is none of {%s}; write expressions as ${…}", name, strings.Join(pathNames, "}, {"))
			}
			after = behind
		}
		parts = append(parts, part)
		rest = after
	}
	return parts, nil
}

// fixed tells whether the path is the same for each record.
func (t *pathTemplate) fixed() bool {
	return t.expr == nil && !slices.ContainsFunc(t.parts, func(p pathPart) bool { return p.name != "" })
}

// of is the path for a record, escaped; the error is an *Error.
func (t *pathTemplate) of(rec *agent.Record) (string, error) {
	var b strings.Builder
	if t.expr != nil {
		text, err := t.expr.Render(agent.Terms{Event: &rec.Event})
		if err != nil {
			return "", refuse("path: %v", err)
		}
		b.WriteString(escapePath(string(text)))
	}
	for _, p := range t.parts {
		b.WriteString(p.text)
		switch value := valueOf(rec, p.name, t.device); {
		case p.name == "":
		case value == "":
			return "", refuse("path: the event has no %s", p.name)
		case p.rest:
			b.WriteString(escapePath(value))
		default:
			b.WriteString(rfc3986(value))
		}
	}
	return b.String(), safePath(b.String())
}

// valueOf is what a name stands for on that device.
func valueOf(rec *agent.Record, name, device string) string {
	switch name {
	case "subject":
		return rec.Event.Subject
	case "id":
		return rec.Event.ID
	case "key":
		return rec.Key
	case "source":
		return rec.Event.Source
	case "type":
		return rec.Event.Type
	case "function":
		return rec.Function
	case "device":
		return device
	}
	return ""
}

// escapePath escapes everything but unreserved characters and slashes.
func escapePath(s string) string { return strings.ReplaceAll(rfc3986(s), "%2F", "/") }

// safePath refuses what servers would take for another place than the one it
// names.
func safePath(path string) error {
	for part := range strings.SplitSeq(path, "/") {
		if part == "." || part == ".." {
			return refuse("path: a part of it is %q, which leads elsewhere", part)
		}
	}
	if path != "" && path[0] != '/' {
		return refuse("path: it must begin with a slash, not with %.20q", path)
	}
	return nil
}

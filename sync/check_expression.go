package fleetsync

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// expression tells whether there is one to compile. An empty one is a mistake
// where its key is there, and where it is an item of a list.
func (c *appCheck) expression(path, text string) bool {
	if strings.TrimSpace(text) == "" && c.lines[path] > 0 {
		c.fail(path, "it is empty: write an expression, such as data.temperature, or remove it")
		return false
	}
	return text != "" && c.checks.Language != nil
}

// value checks an expression over the event; "" passes if its key is not there.
func (c *appCheck) value(path, text string, names []string) {
	if c.expression(path, text) {
		if _, err := c.checks.Language.Value(text, names); err != nil {
			c.fail(path, "%v", err)
		}
	}
}

// template checks what a Then sends. A fault is told at the text it is in.
func (c *appCheck) template(path string, data any, names []string) {
	text, err := json.Marshal(data)
	switch {
	case err != nil: // the decoder yields nothing that JSON does not have
		c.fail(path, "%v", err)
		return
	case len(text) > maxTemplate:
		c.fail(path, "%d bytes, at most %d: have a function make it", len(text), maxTemplate)
		return
	case c.checks.Language == nil:
		return
	}
	if _, err := c.checks.Language.Template(string(text), names); err != nil {
		at, cause := c.fault(path, data, names)
		if cause == nil {
			at, cause = path, err
		}
		c.fail(at, "%v", cause)
	}
}

// fault finds the text in data that is no template, if one is not by itself.
func (c *appCheck) fault(path string, data any, names []string) (at string, err error) {
	switch data := data.(type) {
	case string:
		text, err := json.Marshal(data)
		if err == nil {
			_, err = c.checks.Language.Template(string(text), names)
		}
		return path, err
	case []any:
		for i, item := range data {
			if at, err = c.fault(fmt.Sprintf("%s[%d]", path, i), item, names); err != nil {
				return at, err
			}
		}
	case map[string]any:
		for key, item := range data {
			if at, err = c.fault(join(path, key), item, names); err != nil {
				return at, err
			}
		}
	}
	return "", nil
}

var captureForm = regexp.MustCompile(`\{([^{}/]*)\}`)

// capturesIn are the names in braces in a topic to publish to.
func capturesIn(topic string) []string {
	var names []string
	for _, m := range captureForm.FindAllStringSubmatch(topic, -1) {
		names = append(names, m[1])
	}
	return names
}

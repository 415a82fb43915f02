package cases

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The elements of JUnit's XML that systems for continuous integration read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		File    string        `xml:"file,attr"`
		Line    int           `xml:"line,attr,omitempty"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
		Error   *junitFailure `xml:"error"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes reports as JUnit's XML. A file that could not be run is a test with an
// error.
func JUnit(w io.Writer, reports []*Report) error {
	var all junitSuites
	total := 0.0
	for _, r := range reports {
		suite := junitSuite{Name: r.File, Tests: len(r.Tests), Failures: r.Failed, Time: seconds(r.Took)}
		for j := range r.Tests {
			t := &r.Tests[j]
			c := junitCase{Class: class(r.File), Name: t.Name, File: r.File, Line: t.Line, Time: seconds(t.Took)}
			if !t.Passed {
				c.Failure = &junitFailure{t.message(), t.text()}
			}
			suite.Cases = append(suite.Cases, c)
		}
		if r.Error != "" {
			suite.Tests, suite.Errors = suite.Tests+1, 1
			suite.Cases = append(suite.Cases, junitCase{Class: class(r.File), Name: r.File, File: r.File, Time: seconds(0), Error: &junitFailure{r.Error, ""}})
		}
		all.Tests, all.Failures, all.Errors = all.Tests+suite.Tests, all.Failures+suite.Failures, all.Errors+suite.Errors
		total += r.Took
		all.Suites = append(all.Suites, suite)
	}
	all.Time = seconds(total)
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	if err := enc.Encode(all); err != nil {
		return fmt.Errorf("write JUnit's XML: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

// class is a file's name as systems show classes: with dots.
func class(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(file, Suffix), "/", ".")
}

// message is the first difference in a sentence.
func (r *Result) message() string {
	d := r.Differences[0]
	return plain(d.What + " " + d.Reason)
}

// text is what a person would be shown.
func (r *Result) text() string {
	var b strings.Builder
	b.WriteByte('\n')
	p := Printer{Out: &b}
	p.differences(&b, r)
	return b.String()
}

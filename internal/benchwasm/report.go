package main

import (
	"fmt"
	"slices"
)

// figure is one result.
type figure struct {
	Section, Name string
	Value         float64
	Unit          string
	Mark          float64 `json:",omitempty"` // the most it should be, or the least; 0: none
	AtLeast       bool    `json:",omitempty"`
	Missed        bool    `json:",omitempty"`
	Error         string  `json:",omitempty"` // instead of a value
}

// report collects figures, and prints them as they come if live.
type report struct {
	live    bool
	section string
	figures []figure
}

func (r *report) begin(section string) {
	r.section = section
	if r.live {
		fmt.Printf("\n%s\n", section)
	}
}

// add notes a figure without a mark.
func (r *report) add(name string, value float64, unit string) {
	r.put(figure{Name: name, Value: value, Unit: unit})
}

// most and least note a figure with its mark, if that is not 0.
func (r *report) most(name string, value float64, unit string, mark float64) {
	r.put(figure{Name: name, Value: value, Unit: unit, Mark: mark, Missed: mark != 0 && value > mark})
}

func (r *report) least(name string, value float64, unit string, mark float64) {
	r.put(figure{Name: name, Value: value, Unit: unit, Mark: mark, AtLeast: true, Missed: value < mark})
}

func (r *report) put(f figure) {
	f.Section = r.section
	r.figures = append(r.figures, f)
	if !r.live {
		return
	}
	if f.Error != "" {
		fmt.Printf("  %-44s MISS  %s\n", f.Name, f.Error)
		return
	}
	fmt.Printf("  %-44s %10s %-10s", f.Name, digits(f.Value), f.Unit)
	if f.Mark != 0 {
		bound, verdict := "at most", "ok"
		if f.AtLeast {
			bound = "at least"
		}
		if f.Missed {
			verdict = "MISS"
		}
		fmt.Printf(" %-4s  (%s %s)", verdict, bound, digits(f.Mark))
	}
	fmt.Println()
}

// digits prints three of them that count.
func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// failed notes what could not be measured.
func (r *report) failed(name string, err error) {
	r.put(figure{Name: name, Error: err.Error(), Missed: true})
}

func (r *report) missed() (n int) {
	for _, f := range r.figures {
		if f.Missed {
			n++
		}
	}
	return n
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

package report

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/genie-sdk/go/baselines/results"
)

// figure is a chart as a list of shapes for the page's template. Colours are
// classes, so that the page's style defines them for light and dark.
type figure struct {
	ID            string // unique on the page
	Title         string // the content, in one line above the chart
	Description   string // a text alternative for screen readers
	Note          string // below the title: axis and direction
	Width, Height float64
	Shapes        []shape
	Legend        []legendEntry
	Narrow        *figure // the same for narrow screens
}

// legendEntry explains a colour and a marker.
type legendEntry struct {
	Class, Text string
	Marker      shape
}

// shape is one element. Kind is rect, line, circle, path or text.
type shape struct {
	Kind         string
	Class        string
	X, Y, X2, Y2 float64 // a rectangle's width and height are X2 and Y2
	R            float64
	Text         string // of a text, or the tooltip of a shape
	Anchor       string // start, middle or end
	D            string // of a path
	Rotate       bool   // a text that runs upwards
}

func (f *figure) add(s ...shape) { f.Shapes = append(f.Shapes, s...) }

func (f *figure) text(x, y float64, anchor, class, text string) {
	f.add(shape{Kind: "text", X: x, Y: y, Anchor: anchor, Class: class, Text: text})
}

func (f *figure) line(x1, y1, x2, y2 float64, class string) {
	f.add(shape{Kind: "line", X: x1, Y: y1, X2: x2, Y2: y2, Class: class})
}

// textWidth estimates the width of a text of 12 px.
func textWidth(s string) float64 { return 6.5 * float64(utf8.RuneCountInString(s)) }

// family groups baselines by what they show; it is a colour and a marker.
type family struct {
	class, marker, text string
}

func familyOf(baseline string) family {
	switch baseline {
	case "full", "full-rpc":
		return family{"f-genie", "circle", "Genie, all features"}
	case results.CaptureOnly, "local-remote", "no-semantics":
		return family{"f-part", "diamond", "Genie, local or features off"}
	}
	return family{"f-other", "square", "others"}
}

// mark draws a marker.
func mark(kind string, x, y, r float64, class, title string) shape {
	s := shape{Class: class, Text: title}
	switch kind {
	case "square":
		s.Kind, s.X, s.Y, s.X2, s.Y2 = "rect", x-0.9*r, y-0.9*r, 1.8*r, 1.8*r
	case "diamond":
		d := 1.25 * r
		s.Kind, s.D = "path", fmt.Sprintf("M%.1f %.1fL%.1f %.1fL%.1f %.1fL%.1f %.1fZ", x, y-d, x+d, y, x, y+d, x-d, y)
	case "triangle":
		d := 1.2 * r
		s.Kind, s.D = "path", fmt.Sprintf("M%.1f %.1fL%.1f %.1fL%.1f %.1fZ", x, y-d, x+d, y+0.8*d, x-d, y+0.8*d)
	default:
		s.Kind, s.X, s.Y, s.R = "circle", x, y, r
	}
	return s
}

// axis maps values to positions between two ends and places its ticks.
type axis struct {
	from, to float64 // pixels
	lo, hi   float64 // values
	log      bool
	ticks    []float64
}

// decades is how far apart values must be for a logarithmic axis: a bar a tenth
// as long as another is still readable.
const decades = 1.0

// newAxis makes an axis for values; values that are not above 0 have no
// position on a logarithmic one.
func newAxis(values []float64, from, to float64) axis {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v > 0 {
			lo = min(lo, v)
		}
		hi = max(hi, v)
	}
	if math.IsInf(lo, 1) || hi <= 0 {
		return axis{from: from, to: to, hi: 1, ticks: []float64{0, 1}}
	}
	if math.Log10(hi/lo) > decades {
		return logAxis(lo, hi, from, to)
	}
	step := niceStep(hi / 5)
	a := axis{from: from, to: to, hi: step * math.Ceil(hi/step-1e-9)}
	for i := 0; float64(i)*step <= a.hi*(1+1e-9); i++ {
		a.ticks = append(a.ticks, float64(i)*step)
	}
	return a
}

// logAxis runs between two numbers of the form 1, 2 or 5 times a power of ten,
// with ticks at powers of ten, or at all three where there are few powers.
func logAxis(lo, hi, from, to float64) axis {
	a := axis{from: from, to: to, log: true, lo: niceBelow(lo), hi: niceStep(hi)}
	if a.lo == a.hi {
		a.hi = niceStep(a.hi * 1.5)
	}
	span := math.Log10(a.hi / a.lo)
	mantissas := []float64{1}
	if span < 2.5 {
		mantissas = []float64{1, 2, 5}
	}
	every := int(math.Ceil(span / 8))
	for e := int(math.Floor(math.Log10(a.lo) + 1e-9)); e <= int(math.Ceil(math.Log10(a.hi)-1e-9)); e += every {
		for _, m := range mantissas {
			if v := m * math.Pow(10, float64(e)); v >= a.lo*(1-1e-9) && v <= a.hi*(1+1e-9) {
				a.ticks = append(a.ticks, v)
			}
		}
	}
	return a
}

// niceBelow is the largest of 1, 2 or 5 times a power of ten that is not above
// v.
func niceBelow(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{5, 2, 1} {
		if m*p <= v*(1+1e-9) {
			return m * p
		}
	}
	return p / 2
}

// niceStep is the next of 1, 2 or 5 times a power of ten.
func niceStep(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*p*(1+1e-9) {
			return m * p
		}
	}
	return 10 * p
}

func (a axis) at(v float64) float64 {
	if a.log {
		v = math.Log10(max(v, a.lo)/a.lo) / math.Log10(a.hi/a.lo)
	} else {
		v /= a.hi
	}
	return a.from + v*(a.to-a.from)
}

// kind describes the axis in the note under the title.
func (a axis) kind() string {
	if a.log {
		return "logarithmic axis"
	}
	return "axis from 0"
}

// tickText is the short label of a tick: "10 ms", "1k", "100 MB". Powers of ten
// give round labels, which binary prefixes would not.
func tickText(v float64, unit string) string {
	if v == 0 {
		return "0"
	}
	numerator, _, _ := strings.Cut(unit, "/")
	symbol := ""
	if strings.Contains(unit, "sec") {
		symbol = "s"
	} else if numerator == "B" || strings.HasSuffix(numerator, "-B") {
		symbol = "B"
	}
	prefixes := []string{"n", "µ", "m", "", "k", "M", "G", "T"}
	i := int(math.Floor(math.Log10(v)/3+1e-9)) + 3
	if symbol == "" && i < 3 {
		return fmt.Sprintf("%g", v) // a rate of 0.1 is not written 100m
	}
	i = max(0, min(i, len(prefixes)-1))
	if symbol == "s" {
		i = min(i, 3) // no kiloseconds
	}
	n := v / math.Pow(10, float64(3*(i-3)))
	text := fmt.Sprintf("%.3g", n)
	if n >= 1000 {
		text = fmt.Sprintf("%.0f", n)
	}
	if symbol == "" {
		return text + prefixes[i]
	}
	return text + " " + prefixes[i] + symbol
}

// ticks draws the ticks of a horizontal axis from one height to another, with
// labels below.
func (f *figure) ticks(a axis, top, bottom float64, unit string) {
	free := math.Inf(-1) // where the previous label ends
	for _, t := range a.ticks {
		x, text := a.at(t), tickText(t, unit)
		f.line(x, top, x, bottom, "grid")
		half := textWidth(text) / 2
		middle := max(x, half) // not cut off at the left
		if middle-half > free {
			f.text(middle, bottom+16, "middle", "tick", text)
			free = middle + half + 4
		}
	}
}

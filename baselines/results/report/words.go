package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/baselines/results"
)

// bytesText formats a number of bytes; a power of 1024 without decimals.
func bytesText(digits string) string {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return digits + " B"
	}
	for _, u := range []struct {
		of   int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.of && n%u.of == 0 {
			return fmt.Sprintf("%d %s", n/u.of, u.name)
		}
	}
	text, _ := results.Format(float64(n), "B")
	return text
}

// valueText is a value with its unit's prefix and symbol; the head of the table
// states what it is per.
func valueText(v float64, unit string) string {
	text, _ := results.Format(v, unit)
	return text
}

// fullText is a value with the readable part of its unit, "62.8 tok/s" or "15.9
// ms".
func fullText(v float64, unit string) string {
	text, per := results.Format(v, unit)
	switch numerator, _, _ := strings.Cut(unit, "/"); {
	case per == "s" && !strings.Contains(numerator, "B"):
		return text + " " + unit
	case per != "" && per != "op":
		return text + "/" + per
	}
	return text
}

// unitTitle is the readable name of a unit; unknown units are unchanged.
func unitTitle(unit string) string {
	names := map[string]string{
		"tok/s": "tokens a second", "images/s": "images a second", "sec/op": "time of an operation",
		"B/op": "heap bytes of an operation", "allocs/op": "heap allocations of an operation",
	}
	if n, ok := names[unit]; ok {
		return n
	}
	numerator, per, _ := strings.Cut(unit, "/")
	words := map[string]string{
		"ttft": "time to the first token", "itl": "time between tokens", "step": "time of a decode step",
		"wire": "bytes on the wire", "rtts": "round trips", "peak": "peak memory", "sec": "", "B": "",
		"client": "client's", "worker": "worker's", "p50": "median", "p99": "99th percentile",
	}
	first, rest := "", []string{}
	for p := range strings.SplitSeq(numerator, "-") {
		w, known := words[p]
		switch {
		case !known:
			rest = append(rest, p)
		case first == "" && strings.Contains(w, " ") || w == "round trips":
			first = w
		case w != "":
			rest = append(rest, w)
		}
	}
	if first == "" {
		return unit
	}
	if len(rest) > 0 {
		first += ", " + strings.Join(rest, " ")
	}
	if per != "" {
		first += " per " + map[string]string{"tok": "token", "op": "operation"}[per] + map[bool]string{true: per}[per != "tok" && per != "op"]
	}
	return first
}

// netText is the readable name of a link.
func netText(net string) string {
	if net == "" || net == "none" {
		return "no link"
	}
	return net
}

// ratioText formats a ratio of quality.
func ratioText(r *float64) string {
	switch {
	case r == nil:
		return "–"
	case *r >= 1e5:
		return fmt.Sprintf("%.2g", *r)
	case *r >= 100:
		return fmt.Sprintf("%.0f", *r)
	case *r >= 10:
		return fmt.Sprintf("%.1f", *r)
	case *r < 0.01:
		return fmt.Sprintf("%.1g", *r)
	}
	return fmt.Sprintf("%.2f", *r)
}

// rangeText is the interval; in brackets the smallest and the largest sample
// where there are too few for one.
func rangeText(s results.Summary, unit string) string {
	switch {
	case s.N == 1:
		return "–"
	case s.Min == s.Max:
		return "all equal"
	case s.Lo == nil:
		return "(" + span(s.Min, s.Max, unit) + ")"
	}
	return span(*s.Lo, *s.Hi, unit)
}

func span(lo, hi float64, unit string) string {
	a, b := valueText(lo, unit), valueText(hi, unit)
	na, ua, _ := strings.Cut(a, " ")
	if _, ub, _ := strings.Cut(b, " "); ua == ub {
		a = na
	}
	return a + " – " + b
}

// changeText is the change of the median, "~" when it may be chance, and its
// probability.
func changeText(c *results.Change) (percent, p string) {
	if c == nil {
		return "new", ""
	}
	p = fmt.Sprintf("%.3f", c.P)
	same := c.Old.Min == c.Old.Max && c.New.Min == c.New.Max && c.Old.Median == c.New.Median
	switch {
	case same:
		return "=", ""
	case c.TooFew:
		return percentText(c.Percent) + " ?", "n<4"
	case !c.Significant:
		return "~", p
	}
	return percentText(c.Percent), p
}

func percentText(p *float64) string {
	if p == nil {
		return "from 0"
	}
	return fmt.Sprintf("%+.1f%%", *p)
}

package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/genie-sdk/go/baselines/results"
)

// shareChart shows bytes on the wire by cause, stacked. Totals differ by up to
// seven orders of magnitude, so each bar has the full width and the total is
// written beside it; a chart of totals is a row chart.
func shareChart(l layout, s *Section, c causes, id string) *figure {
	per := map[string]string{"tok": "token", "op": "operation"}[c.per]
	f := &figure{ID: id, Title: "Bytes on the wire by cause", Width: l.width}
	f.Note = "share of each baseline's own bytes"
	if per != "" {
		f.Title += ", per " + per
	}
	left, right := 20.0, 60.0
	for _, r := range c.rows {
		left = max(left, 30+textWidth(r.key.Label()))
		right = max(right, 20+textWidth(shareBeside(r, c.per)))
	}
	left, right = l.margins(left, right)
	a := axis{from: left, to: l.width - right, hi: 100, ticks: []float64{0, 25, 50, 75, 100}}
	y, variant := 6.0, ""
	var marks []shape
	var told []string
	for _, r := range c.rows {
		if r.key.Variant != variant {
			variant = r.key.Variant
			f.text(4, y+17, "start", "group", variantText(variant))
			y += rowHeight
		}
		centre, next := l.row(f, y, left, right, "label", r.key.Label(), shareBeside(r, c.per))
		marks = append(marks, shareMarks(a, c, r, centre-13)...)
		told = append(told, r.key.Label()+" "+shareBeside(r, c.per))
		y = next
	}
	for _, t := range a.ticks {
		x := a.at(t)
		f.line(x, 0, x, y+2, "grid")
		f.text(x, y+18, "middle", "tick", fmt.Sprintf("%.0f%%", t))
	}
	f.add(marks...)
	f.Height = y + 26
	for _, cause := range c.causes {
		class := causeClass(cause)
		f.Legend = append(f.Legend, legendEntry{class, cause, shape{Kind: "rect", X: 1, Y: 1, X2: 12, Y2: 12, Class: "bar " + class}})
	}
	f.Description = fmt.Sprintf("%s of %s over %s: %s.", f.Title, s.Workload, netText(s.Net), strings.Join(told, "; "))
	return f
}

func shareBeside(r causeRow, per string) string {
	unit := "B"
	if per != "" {
		unit += "/" + per
	}
	return fullText(r.total(), unit)
}

// shareMarks are the segments of a bar, labelled where there is room.
func shareMarks(a axis, c causes, r causeRow, y float64) (marks []shape) {
	sum := 0.0
	for i, cause := range c.causes {
		share := 100 * r.bytes[i] / r.total()
		if share == 0 {
			continue
		}
		x, end := a.at(sum), a.at(sum+share)
		sum += share
		class := causeClass(cause)
		tip := fmt.Sprintf("%s: %s, %.2g%%", cause, valueText(r.bytes[i], "B"), share)
		marks = append(marks, shape{Kind: "rect", X: x, Y: y + 4, X2: end - x, Y2: 18, Class: "bar seam " + class, Text: tip})
		if end-x > 14+textWidth(cause) {
			marks = append(marks, shape{Kind: "text", X: (x + end) / 2, Y: y + 17, Anchor: "middle", Class: "in " + class + "-in", Text: cause})
		}
	}
	return marks
}

func causeClass(cause string) string {
	return fmt.Sprintf("c%d", slices.Index(results.Causes(), cause))
}

package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/genie-sdk/go/baselines/results"
)

// rowChart shows a unit with one row per case: bars from 0 where the values are
// close, otherwise points on a logarithmic axis, with intervals, and the median
// and its change beside them.
func rowChart(l layout, s *Section, t *Table, id string) *figure {
	rows := slices.DeleteFunc(slices.Clone(t.Rows), func(r Row) bool { return r.Ablation != "" || r.Summary.Median <= 0 })
	if len(rows) == 0 {
		return nil
	}
	f := &figure{ID: id, Title: capital(unitTitle(t.Unit)), Width: l.width}
	left, right := 20.0, 60.0
	var values []float64
	for _, r := range rows {
		left = max(left, 30+textWidth(r.Baseline), 20+1.1*textWidth(variantText(r.Variant)))
		right = max(right, 20+textWidth(beside(r, t.Unit)))
		values = append(values, r.Summary.Median, r.Summary.Low(), r.Summary.High())
		if r.moved() {
			values = append(values, r.Change.Old.Median)
		}
	}
	left, right = l.margins(left, right)
	a := newAxis(values, left+4, l.width-right-6)
	f.Note = betterText(t) + a.kind()
	y, variants := 6.0, t.variants()
	var marks []shape
	for _, variant := range variants {
		of := slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return r.Variant != variant })
		if len(of) == 0 {
			continue
		}
		if variant != "" {
			f.text(4, y+17, "start", "group", variantText(variant))
			y += rowHeight
		}
		for _, r := range of {
			centre, next := l.row(f, y, left, right, "label "+familyOf(r.Baseline).class+"-text", r.Baseline, beside(r, t.Unit))
			marks = append(marks, rowMarks(a, r, t.Unit, centre)...)
			y = next
		}
		y += 6
	}
	f.ticks(a, 0, y, t.Unit)
	f.add(marks...)
	f.Height = y + 24
	f.Legend = familyLegend(rows)
	f.Description = describe(s, t, rows)
	return f
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func betterText(t *Table) string {
	if t.Better == "" {
		return ""
	}
	return t.Better + " is better, "
}

// moved reports whether a row changed significantly: only then does a chart
// show its old value.
func (r Row) moved() bool { return r.Change != nil && r.Change.Significant }

// beside is the text next to a row's mark.
func beside(r Row, unit string) string {
	text := fullText(r.Summary.Median, unit)
	if r.moved() {
		p, _ := changeText(r.Change)
		text += " (" + p + ")"
	}
	return text
}

// rowMarks are the bar or point of a row, its interval, and the value of the
// older recording.
func rowMarks(a axis, r Row, unit string, y float64) (marks []shape) {
	fam := familyOf(r.Baseline)
	s := r.Summary
	tip := fmt.Sprintf("%s: %s, 95%% interval %s, n=%d", r.Label(), fullText(s.Median, unit), rangeText(s, unit), s.N)
	x := a.at(s.Median)
	if !a.log {
		marks = append(marks, shape{Kind: "rect", X: a.from, Y: y - 7, X2: x - a.from, Y2: 14, Class: "bar " + fam.class, Text: tip})
	}
	if r.moved() {
		was := a.at(r.Change.Old.Median)
		old := shape{Kind: "line", X: was, Y: y - 10, X2: was, Y2: y + 10, Class: "old", Text: "before: " + fullText(r.Change.Old.Median, unit)}
		marks = append(marks, old)
	}
	if lo, hi := a.at(s.Low()), a.at(s.High()); hi-lo > 1 {
		class := "whisker"
		if s.Lo == nil {
			class = "whisker few"
		}
		marks = append(marks,
			shape{Kind: "line", X: lo, Y: y, X2: hi, Y2: y, Class: class},
			shape{Kind: "line", X: lo, Y: y - 4, X2: lo, Y2: y + 4, Class: class},
			shape{Kind: "line", X: hi, Y: y - 4, X2: hi, Y2: y + 4, Class: class})
	}
	if a.log {
		marks = append(marks, mark(fam.marker, x, y, 5.5, "mark "+fam.class, tip))
	}
	return marks
}

// familyLegend explains the colours that occur.
func familyLegend(rows []Row) (legend []legendEntry) {
	changed := false
	for _, r := range rows {
		fam := familyOf(r.Baseline)
		if !slices.ContainsFunc(legend, func(l legendEntry) bool { return l.Class == fam.class }) {
			legend = append(legend, legendEntry{fam.class, fam.text, mark(fam.marker, 7, 7, 5, "mark "+fam.class, "")})
		}
		changed = changed || r.moved()
	}
	if changed {
		legend = append(legend, legendEntry{"old", "before", shape{Kind: "line", X: 7, Y: 0, X2: 7, Y2: 14, Class: "old"}})
	}
	return legend
}

// describe describes a chart in words.
func describe(s *Section, t *Table, rows []Row) string {
	var parts []string
	for _, r := range rows {
		text := r.Label()
		if r.Variant != "" {
			text += " (" + variantText(r.Variant) + ")"
		}
		parts = append(parts, text+" "+fullText(r.Summary.Median, t.Unit))
	}
	return fmt.Sprintf("%s of %s over %s: %s.", capital(unitTitle(t.Unit)), s.Workload, netText(s.Net), strings.Join(parts, "; "))
}

// manyVariants is when a chart with a row per case becomes too long; a row per
// variant with all its baselines replaces it.
const manyVariants = 4

// stripChart shows a unit with one row per variant.
func stripChart(l layout, s *Section, t *Table, id string) *figure {
	f := &figure{ID: id, Title: capital(unitTitle(t.Unit)), Width: l.width}
	var rows []Row
	var values []float64
	var baselines []string
	left := 20.0
	for _, r := range t.Rows {
		if r.Ablation != "" || r.Summary.Median <= 0 {
			continue
		}
		rows = append(rows, r)
		values = append(values, r.Summary.Low(), r.Summary.High())
		left = max(left, 30+textWidth(variantText(r.Variant)))
		if !slices.Contains(baselines, r.Baseline) {
			baselines = append(baselines, r.Baseline)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	left, right := l.margins(left, 30)
	a := newAxis(values, left, l.width-right)
	f.Note = betterText(t) + a.kind()
	y := 6.0
	var marks []shape
	for _, variant := range t.variants() {
		if l.stacked {
			f.text(4, y+12, "start", "label", variantText(variant))
			y += 16
		} else {
			f.text(left-10, y+15, "end", "label", variantText(variant))
		}
		f.line(left, y+11, l.width-right, y+11, "guide")
		for _, r := range rows {
			if r.Variant == variant {
				class, marker := series(r.Baseline)
				tip := fmt.Sprintf("%s, %s: %s", variantText(variant), r.Baseline, fullText(r.Summary.Median, t.Unit))
				marks = append(marks, mark(marker, a.at(r.Summary.Median), y+11, 5, "mark "+class, tip))
			}
		}
		y += 22
	}
	f.ticks(a, 0, y+4, t.Unit)
	f.add(marks...)
	f.Height = y + 28
	for _, b := range baselines {
		class, marker := series(b)
		f.Legend = append(f.Legend, legendEntry{class, b, mark(marker, 7, 7, 5, "mark "+class, "")})
	}
	f.Description = describe(s, t, rows)
	return f
}

// series is a baseline's colour and marker in a chart that has all baselines in
// one row: both differ between baselines, within the hue and shape of the
// family.
func series(baseline string) (class, marker string) {
	fixed := map[string][2]string{
		"full": {"s0", "circle"}, "full-rpc": {"s5", "circle"},
		results.CaptureOnly: {"s2", "diamond"}, "local-remote": {"s4", "diamond"}, results.NoSemantics: {"s6", "diamond"},
		results.LocalPyTorch: {"s1", "square"}, "pytorch-rpc": {"s3", "square"},
		"onnxruntime": {"s4", "square"}, "ray": {"s6", "square"}, "local-gorgonia": {"s5", "square"},
	}
	if s, ok := fixed[baseline]; ok {
		return s[0], s[1]
	}
	return "s6", "triangle"
}

// ablationChart shows what each feature adds: the blind baseline, the
// ablations, and all features.
func ablationChart(l layout, s *Section, t *Table, variant, id string) *figure {
	var rows []Row
	ablations := 0
	for _, r := range t.of(variant) {
		switch {
		case r.Ablation != "":
			ablations++
		case r.Baseline != "full" && r.Baseline != results.NoSemantics:
			continue
		}
		if r.Summary.Median > 0 {
			rows = append(rows, r)
		}
	}
	if ablations == 0 || len(rows) < 2 {
		return nil
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return ablationRank(a) - ablationRank(b) })
	f := &figure{ID: id, Title: "Ablation: " + unitTitle(t.Unit), Width: l.width}
	left, right := 20.0, 60.0
	var values []float64
	for i, r := range rows {
		left = max(left, 30+textWidth(ablationText(r)))
		right = max(right, 20+textWidth(ablationBeside(rows, i, t)))
		values = append(values, r.Summary.Low(), r.Summary.High())
	}
	left, right = l.margins(left, right)
	a := newAxis(values, left+4, l.width-right-6)
	f.Note = betterText(t) + a.kind()
	if v := variantText(variant); v != "" {
		f.Note = v + "; " + f.Note
	}
	var path strings.Builder
	var marks []shape
	y := 6.0
	for i, r := range rows {
		centre, next := l.row(f, y, left, right, "label", ablationText(r), ablationBeside(rows, i, t))
		marks = append(marks, rowMarks(a, withoutChange(r), t.Unit, centre)...)
		fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], a.at(r.Summary.Median), centre)
		y = next + 2
	}
	f.ticks(a, 0, y, t.Unit)
	if a.log {
		f.add(shape{Kind: "path", D: path.String(), Class: "steps"})
	}
	f.add(marks...)
	f.Height = y + 24
	f.Description = describe(s, t, rows)
	return f
}

func withoutChange(r Row) Row {
	r.Change = nil
	return r
}

// ablationRank orders the ablations from nothing to everything.
func ablationRank(r Row) int {
	switch {
	case r.Ablation != "":
		return 1 + strings.Count(r.Ablation, "+")
	case r.Baseline == results.NoSemantics:
		return 0
	}
	return 1000
}

func ablationText(r Row) string {
	switch i := strings.LastIndexByte(r.Ablation, '+'); {
	case r.Ablation == "":
		return r.Baseline
	case i >= 0:
		return "+ " + r.Ablation[i+1:]
	}
	return r.Ablation
}

// ablationBeside is a value and its ratio to the previous step.
func ablationBeside(rows []Row, i int, t *Table) string {
	text := fullText(rows[i].Summary.Median, t.Unit)
	if i == 0 {
		return text
	}
	direction := map[string]int{"higher": 1, "lower": -1}[t.Better]
	return text + " · × " + ratioText(results.Ratio(rows[i].Summary.Median, rows[i-1].Summary.Median, direction))
}

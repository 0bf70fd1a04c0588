package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/genie-sdk/go/baselines/results"
)

// WriteText writes the report as tables. all adds the units that are not
// headlines.
func WriteText(w io.Writer, r *Report, all bool) error {
	var b strings.Builder
	writeRun(&b, "", r.New)
	if r.Old != nil {
		writeRun(&b, "compared with ", *r.Old)
	}
	for i := range r.Sections {
		r.writeSection(&b, &r.Sections[i], all)
	}
	for _, m := range r.CostModels {
		writeCostModel(&b, m)
	}
	writeList(&b, "Only in the old recording", r.Gone, results.Key.String)
	writeList(&b, "Warnings", r.Warnings, func(s string) string { return s })
	b.WriteString(legend(r.Old != nil))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

func writeList[T any](b *strings.Builder, title string, list []T, text func(T) string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for _, x := range list {
		fmt.Fprintf(b, "  %s\n", text(x))
	}
}

func writeRun(b *strings.Builder, before string, r Run) {
	fmt.Fprintf(b, "%s%s: %d cases, %d results\n", before, r.Path, r.Cases, r.Samples)
	var settings []string
	for _, s := range r.OfAll() { // settings of single cases appear in the JSON and on the page
		settings = append(settings, s.Key+" "+s.Value)
	}
	fmt.Fprintf(b, "  %s\n", strings.Join(settings, ", "))
}

func legend(changes bool) string {
	text := "\nIntervals are of the median, at 95%; in brackets the smallest and the largest of fewer\n" +
		"than 6 samples. Ratios say how many times as good: above 1 is better than that baseline.\n"
	if changes {
		text += "Changes are of the median; ~ may be chance (p at or above 0.05, rank test), ? is of too few samples to tell.\n"
	}
	return text
}

func (r *Report) writeSection(b *strings.Builder, s *Section, all bool) {
	title := s.Workload + " over " + netText(s.Net)
	fmt.Fprintf(b, "\n%s\n%s\n", title, strings.Repeat("=", utf8.RuneCountInString(title)))
	more := 0
	for i := range s.Tables {
		t := &s.Tables[i]
		switch {
		case t.Headline || all:
			writeTable(b, t, r.Old != nil)
		case t.kind != results.WireCause:
			more++
		}
	}
	writeCauses(b, s)
	writeList(b, "Not measured", s.Absent, func(a results.Absence) string {
		how := "unavailable"
		if a.Failed {
			how = "FAILED"
		}
		label := a.Label()
		if v := variantText(a.Variant); v != "" {
			label += " (" + v + ")"
		}
		return fmt.Sprintf("%s, %s: %s", label, how, a.Reason)
	})
	if more > 0 {
		fmt.Fprintf(b, "\n%d more units with --all.\n", more)
	}
}

// grid is aligned rows of cells: the first column to the left, the others to
// the right. A row of one cell is a heading.
type grid [][]string

func (g grid) write(b *strings.Builder) {
	var widths []int
	for _, row := range g {
		if len(row) == 1 {
			continue
		}
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range g {
		var line strings.Builder
		for i, cell := range row {
			pad := ""
			if len(row) > 1 {
				pad = strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			}
			if i == 0 {
				line.WriteString("  " + cell + pad)
			} else {
				line.WriteString("  " + pad + cell)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// unitHeading is a table's unit with its properties.
func unitHeading(t *Table) string {
	text := t.Unit
	if title := unitTitle(t.Unit); title != t.Unit {
		text += ": " + title
	}
	if t.Better != "" {
		text += "; " + t.Better + " is better"
	}
	if t.Exact {
		text += "; exact"
	}
	return text
}

func writeTable(b *strings.Builder, t *Table, changes bool) {
	fmt.Fprintf(b, "\n%s\n", unitHeading(t))
	head := []string{"", "median", "95% interval", "n", "× " + results.LocalPyTorch, "× " + results.CaptureOnly}
	if changes {
		head = append(head, "before", "change", "p")
	}
	g := grid{head}
	for _, variant := range t.variants() {
		if variant != "" {
			g = append(g, []string{variantText(variant)})
		}
		for _, row := range t.of(variant) {
			cells := []string{
				"  " + row.Label(), valueText(row.Summary.Median, t.Unit), rangeText(row.Summary, t.Unit),
				strconv.Itoa(row.Summary.N), ratioText(row.VsPyTorch), ratioText(row.VsCapture),
			}
			if changes {
				before := ""
				if row.Change != nil {
					before = valueText(row.Change.Old.Median, t.Unit)
				}
				percent, p := changeText(row.Change)
				cells = append(cells, before, percent, p)
			}
			g = append(g, cells)
		}
	}
	g.write(b)
}

// writeCauses writes bytes by cause, all baselines beside each other.
func writeCauses(b *strings.Builder, s *Section) {
	for _, c := range causesOf(s) {
		fmt.Fprintf(b, "\nbytes on the wire by cause%s\n", map[bool]string{true: ", per " + c.per}[c.per != ""])
		g := grid{append([]string{""}, c.causes...)}
		variant := ""
		for _, row := range c.rows {
			if row.key.Variant != variant {
				variant = row.key.Variant
				g = append(g, []string{variantText(variant)})
			}
			cells := []string{"  " + row.key.Label()}
			for i := range c.causes {
				cells = append(cells, map[bool]string{true: valueText(row.bytes[i], "B"), false: "–"}[row.bytes[i] > 0])
			}
			g = append(g, cells)
		}
		g.write(b)
	}
}

func writeCostModel(b *strings.Builder, m results.CostModel) {
	title := "Cost model over " + netText(m.Net)
	fmt.Fprintf(b, "\n%s\n%s\n", title, strings.Repeat("=", utf8.RuneCountInString(title)))
	for _, l := range costModelFacts(m) {
		fmt.Fprintf(b, "%s: %s\n", l[0], l[1])
	}
	b.WriteByte('\n')
	g := grid{{"", "predicted", "measured", "error"}}
	for _, p := range m.Predictions {
		g = append(g, []string{
			p.Label() + ", " + variantText(p.Variant), valueText(p.Predicted, "sec"), valueText(p.Measured, "sec"), fmt.Sprintf("%.0f%%", 100*p.Error()),
		})
	}
	g.write(b)
}

// costModelFacts are the judgement of a cost model, by name.
func costModelFacts(m results.CostModel) [][2]string {
	percent := func(x *float64) string {
		if x == nil {
			return "none measured"
		}
		return fmt.Sprintf("%.1f%%", 100**x)
	}
	rank := "too few"
	if m.Rank != nil {
		rank = fmt.Sprintf("%.3f", *m.Rank)
	}
	return [][2]string{
		{"median error of an operator", percent(m.OperatorError)},
		{"median error of a transfer of 1 MiB and more", percent(m.TransferError)},
		{"rank correlation", rank},
	}
}

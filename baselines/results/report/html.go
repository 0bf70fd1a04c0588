package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/genie-sdk/go/baselines/results"
)

//go:embed page.html.tmpl page.css
var pageFiles embed.FS

// WriteHTML writes the report as one self-contained page: no script, font or
// image from elsewhere.
func WriteHTML(w io.Writer, r *Report) error {
	css, err := pageFiles.ReadFile("page.css")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	t, err := template.New("page.html.tmpl").Funcs(pageFuncs(r)).ParseFS(pageFiles, "page.html.tmpl")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := t.Execute(w, newPage(r, template.CSS(css))); err != nil { //nolint:gosec // our own style sheet
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// page is the template's data.
type page struct {
	*Report

	CSS      template.CSS
	Overview []overview
	Parts    []part
	Models   []modelPart
}

// part is a section with its figures.
type part struct {
	*Section

	ID      string
	Title   string
	Figures []*figure
	Causes  []causes
	Head    []Table // headlines
	Rest    []Table
}

type modelPart struct {
	results.CostModel

	ID     string
	Figure *figure
	Facts  [][2]string
}

func newPage(r *Report, css template.CSS) *page {
	p := &page{Report: r, CSS: css, Overview: newOverviews(r)}
	for i := range r.Sections {
		p.Parts = append(p.Parts, newPart(&r.Sections[i], fmt.Sprintf("section-%d", i+1)))
	}
	for i, m := range r.CostModels {
		id := fmt.Sprintf("cost-model-%d", i+1)
		p.Models = append(p.Models, modelPart{m, id, drawn(id+"-figure", func(l layout, id string) *figure { return scatterChart(l, m, id) }), costModelFacts(m)})
	}
	return p
}

func newPart(s *Section, id string) part {
	p := part{Section: s, ID: id, Title: s.Workload + " over " + netText(s.Net), Causes: causesOf(s)}
	add := func(chart func(l layout, id string) *figure) {
		if f := drawn(fmt.Sprintf("%s-figure-%d", id, len(p.Figures)+1), chart); f != nil {
			p.Figures = append(p.Figures, f)
		}
	}
	for i := range s.Tables {
		t := &s.Tables[i]
		if !t.Headline {
			if t.kind != results.WireCause {
				p.Rest = append(p.Rest, *t)
			}
			continue
		}
		p.Head = append(p.Head, *t)
		if len(t.variants()) > manyVariants {
			add(func(l layout, id string) *figure { return stripChart(l, s, t, id) })
		} else {
			add(func(l layout, id string) *figure { return rowChart(l, s, t, id) })
		}
	}
	for _, c := range p.Causes {
		add(func(l layout, id string) *figure { return shareChart(l, s, c, id) })
	}
	for i := range s.Tables {
		t := &s.Tables[i]
		if t.kind == results.Throughput || t.kind == results.WireTotal {
			for _, v := range t.variants() {
				add(func(l layout, id string) *figure { return ablationChart(l, s, t, v, id) })
			}
		}
	}
	return p
}

// overview is the matrix of workloads and baselines over a link, in the main
// unit of each workload.
type overview struct {
	Net       string
	Baselines []string
	Rows      []overviewRow
}

type overviewRow struct {
	Workload, Variant, Unit string
	Cells                   []overviewCell
}

// overviewCell is a figure, or the reason for its absence.
type overviewCell struct {
	Row    *Row
	Absent *results.Absence
}

func newOverviews(r *Report) (all []overview) {
	for i := range r.Sections {
		s := &r.Sections[i]
		if len(s.Tables) == 0 || len(s.Tables[0].variants()) > manyVariants {
			continue
		}
		at := slices.IndexFunc(all, func(o overview) bool { return o.Net == s.Net })
		if at < 0 {
			at = len(all)
			all = append(all, overview{Net: s.Net})
		}
		all[at].collect(s)
	}
	for i := range all {
		all[i].fill(r)
	}
	return all
}

func (o *overview) collect(s *Section) {
	note := func(k results.Key) {
		if k.Ablation == "" && !slices.Contains(o.Baselines, k.Baseline) {
			o.Baselines = append(o.Baselines, k.Baseline)
		}
	}
	t := s.Tables[0]
	for _, row := range t.Rows {
		note(row.Key)
	}
	for _, a := range s.Absent {
		note(a.Key)
	}
	slices.SortStableFunc(o.Baselines, results.CompareBaselines)
	for _, v := range t.variants() {
		o.Rows = append(o.Rows, overviewRow{Workload: s.Workload, Variant: v, Unit: t.Unit})
	}
}

func (o *overview) fill(r *Report) {
	for i := range o.Rows {
		row := &o.Rows[i]
		s := r.section(row.Workload, o.Net)
		for _, b := range o.Baselines {
			var c overviewCell
			key := results.Key{Workload: row.Workload, Net: o.Net, Variant: row.Variant, Baseline: b}
			for j := range s.Tables[0].Rows {
				if s.Tables[0].Rows[j].Key == key {
					c.Row = &s.Tables[0].Rows[j]
				}
			}
			for j := range s.Absent {
				if s.Absent[j].Key == key {
					c.Absent = &s.Absent[j]
				}
			}
			row.Cells = append(row.Cells, c)
		}
	}
}

// pageFuncs are the template functions; change needs to know whether there is
// an older recording.
func pageFuncs(r *Report) template.FuncMap {
	return template.FuncMap{
		"value": valueText, "full": fullText, "interval": rangeText, "ratio": ratioText, "variant": variantText,
		"net": netText, "unit": unitTitle, "capital": capital, "heading": unitHeading2, "join": strings.Join,
		"family":   func(baseline string) string { return familyOf(baseline).class },
		"compare":  func() bool { return r.Old != nil },
		"percent":  func(c *results.Change) string { p, _ := changeText(c); return p },
		"chance":   func(c *results.Change) string { _, p := changeText(c); return p },
		"mood":     mood,
		"errors":   func(p results.Prediction) string { return fmt.Sprintf("%.0f%%", 100*p.Error()) },
		"variants": func(t Table) []string { return t.variants() },
		"long":     func(t Table) bool { return len(t.variants()) > manyVariants },
		"of":       func(t Table, v string) []Row { return t.of(v) },
		"bytes": func(v float64) string {
			if v == 0 {
				return "–"
			}
			return valueText(v, "B")
		},
	}
}

func unitHeading2(t Table) string { return unitHeading(&t) }

// mood is a class: a significant change for the better or the worse.
func mood(t Table, c *results.Change) string {
	if c == nil || !c.Significant || c.Percent == nil || t.Better == "" {
		return ""
	}
	if (*c.Percent > 0) == (t.Better == "higher") {
		return "good"
	}
	return "bad"
}

package simulation

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

//go:embed page.html.tmpl
var pageText string

// bar is a router's value of a figure, and its share of the largest.
type bar struct {
	Router, Value string
	Percent       float64
	Own           bool // the module's router
}

type figure struct {
	Title, Better string
	Bars          []bar
}

// measures are the figures of the page.
var measures = []struct {
	title, better, form string
	of                  func(r *RouterStat) float64
}{
	{"Throughput, generated tokens a second", "more is better", "%.0f", func(r *RouterStat) float64 { return r.Tokens }},
	{"Time to the first token, median, seconds", "less is better", "%.3f", func(r *RouterStat) float64 { return r.P50 }},
	{"Time to the first token, 99th percentile, seconds", "less is better", "%.3f", func(r *RouterStat) float64 { return r.P99 }},
	{"Hit rate, share of prompt tokens that were there already", "more is better", "%.3f", func(r *RouterStat) float64 { return r.HitRate }},
	{"Bytes moved, GB: prompts, answers and state", "less is better", "%.3f", func(r *RouterStat) float64 {
		return float64(r.Moved.Prompts+r.Moved.Answers+r.Moved.State) / 1e9
	}},
	{"Fairness between tenants, Jain's index", "more is better", "%.3f", func(r *RouterStat) float64 { return r.Fairness }},
}

func (r *Result) figures() []figure {
	list := make([]figure, 0, len(measures)+1)
	add := func(title, better, form string, of func(r *RouterStat) float64) {
		most := 0.0
		for i := range r.Routers {
			most = max(most, of(&r.Routers[i]))
		}
		f := figure{Title: title, Better: better}
		for i := range r.Routers {
			v := of(&r.Routers[i])
			f.Bars = append(f.Bars, bar{r.Routers[i].Router, fmt.Sprintf(form, v), 100 * v / max(most, 1e-12), r.Routers[i].Router == routers[0].name})
		}
		list = append(list, f)
	}
	for _, m := range measures {
		add(m.title, m.better, m.form, m.of)
	}
	if len(r.Routers) > 0 && r.Routers[0].Capacity != nil {
		add(fmt.Sprintf("Sessions at a 99th percentile of at most %v s, as a multiple of the scenario's", r.Target), "more is better", "%.2f",
			func(r *RouterStat) float64 { return r.Capacity.Pace })
	}
	return list
}

// WritePage writes the result as one self-contained HTML page.
func (r *Result) WritePage(w io.Writer) error {
	t, err := template.New("page").Parse(pageText)
	if err == nil {
		err = t.Execute(w, struct {
			*Result

			Figures []figure
		}{r, r.figures()})
	}
	if err != nil {
		return fmt.Errorf("page of a simulation: %w", err)
	}
	return nil
}

package report

import (
	"slices"
	"strings"

	"github.com/genie-sdk/go/baselines/results"
)

// causes is the bytes by cause in a section, all units with one "per".
type causes struct {
	per    string   // "tok", "op"
	causes []string // those that moved any bytes
	rows   []causeRow
}

// causeRow is one case's bytes, in the order of causes.causes.
type causeRow struct {
	key   results.Key
	bytes []float64
}

func (r causeRow) total() float64 {
	t := 0.0
	for _, b := range r.bytes {
		t += b
	}
	return t
}

// causesOf collects the tables of bytes by cause.
func causesOf(s *Section) (all []causes) {
	for _, table := range s.Tables {
		if table.kind != results.WireCause {
			continue
		}
		_, per, _ := strings.Cut(table.Unit, "/")
		if !slices.ContainsFunc(all, func(c causes) bool { return c.per == per }) {
			all = append(all, gather(s, per))
		}
	}
	return slices.DeleteFunc(all, func(c causes) bool { return len(c.rows) == 0 })
}

func gather(s *Section, per string) causes {
	c := causes{per: per}
	medians := map[results.Key]map[string]float64{}
	moved := map[string]bool{}
	for _, table := range s.Tables {
		cause := results.CauseOf(table.Unit)
		if _, p, _ := strings.Cut(table.Unit, "/"); cause == "" || p != per {
			continue
		}
		for _, row := range table.Rows {
			if medians[row.Key] == nil {
				medians[row.Key] = map[string]float64{}
			}
			// A ledger with a unit per direction adds up.
			medians[row.Key][cause] += row.Summary.Median
			moved[cause] = moved[cause] || row.Summary.Median > 0
		}
	}
	for _, cause := range results.Causes() {
		if moved[cause] {
			c.causes = append(c.causes, cause)
		}
	}
	for _, k := range s.order {
		row := causeRow{key: k}
		for _, cause := range c.causes {
			row.bytes = append(row.bytes, medians[k][cause])
		}
		if row.total() > 0 {
			c.rows = append(c.rows, row)
		}
	}
	return c
}

// The display form of causes.

// Per is what the bytes are per, in readable form.
func (c causes) Per() string {
	return map[string]string{"tok": "token", "op": "operation"}[c.per]
}

// Names are the causes.
func (c causes) Names() []string { return c.causes }

// Lines are the cases.
func (c causes) Lines() []causeLine {
	var all []causeLine
	for _, r := range c.rows {
		all = append(all, causeLine{r.key.Label(), r.key.Variant, r.bytes, r.total()})
	}
	return all
}

// causeLine is the display form of a causeRow.
type causeLine struct {
	Label, Variant string
	Bytes          []float64
	Total          float64
}

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/genie-sdk/go/transport"
)

// mostProfiled is how many computations of a profile are shown.
const mostProfiled = 25

// profileRow is what all groups with the same operators and kernel took.
type profileRow struct {
	kernel, name string
	time         time.Duration
	count, bytes int64
}

// rowsOf adds up the groups of a profile, the slowest first.
func rowsOf(p *transport.Profile) []profileRow {
	at := map[[2]string]int{}
	var rows []profileRow
	for _, g := range p.Groups {
		key := [2]string{g.Kernel, g.Name}
		i, ok := at[key]
		if !ok {
			i = len(rows)
			at[key], rows = i, append(rows, profileRow{kernel: g.Kernel, name: g.Name})
		}
		r := &rows[i]
		r.time, r.count, r.bytes = r.time+g.Time, r.count+g.Count, r.bytes+g.Bytes
	}
	slices.SortStableFunc(rows, func(a, b profileRow) int { return cmp.Compare(b.time, a.time) })
	return rows
}

// printProfiles shows where the time of each plan went, to people.
func printProfiles(out io.Writer, profiles []transport.Profile) {
	for i := range profiles {
		p := &profiles[i]
		total := p.Time()
		var slow time.Duration
		rows := rowsOf(p)
		for _, r := range rows {
			if transport.IsReference(r.kernel) {
				slow += r.time
			}
		}
		_, _ = fmt.Fprintf(out, "\nplan %s %.12s: %d runs, %v in kernels, %.0f%% of it in references of operators without a kernel\n",
			p.Name, p.Plan, p.Runs, total.Round(time.Microsecond), percent(slow, total))
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "time\tshare\tcount\tbytes\tkernel\toperators")
		for k, r := range rows {
			if k == mostProfiled {
				_, _ = fmt.Fprintf(w, "and %d more\n", len(rows)-k)
				break
			}
			_, _ = fmt.Fprintf(w, "%v\t%.1f%%\t%d\t%s\t%s\t%s\n",
				r.time.Round(time.Microsecond), percent(r.time, total), r.count, formatBytes(float64(r.bytes)), r.kernel, r.name)
		}
		_ = w.Flush()
	}
}

func percent(part, all time.Duration) float64 {
	if all <= 0 {
		return 0
	}
	return 100 * float64(part) / float64(all)
}

package main

import (
	"fmt"
	"strings"

	"github.com/genie-sdk/go/transport/plan"
)

// demoTable shows the runs side by side.
func (a *app) demoTable(r *demoReport) error {
	var b strings.Builder
	row := func(label string, benchCase func(run *demoRun) string) {
		cases := make([]string, len(r.Runs))
		for i := range r.Runs {
			cases[i] = fmt.Sprintf("%12s", benchCase(&r.Runs[i]))
		}
		line := fmt.Sprintf("%-30s", label) + strings.Join(cases, "")
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	rule := strings.Repeat("-", 30+12*len(r.Runs)) + "\n"
	b.WriteByte('\n')
	row("", func(run *demoRun) string {
		return map[bool]string{true: "in-process", false: "worker"}[run.WorkerPID == 0]
	})
	row("", func(run *demoRun) string { return run.Name })
	b.WriteString(rule)
	row("same generation", func(run *demoRun) string { return map[bool]string{true: "yes", false: "NO"}[run.Text == r.Text] })
	row("tokens a second", func(run *demoRun) string { return fmt.Sprintf("%.0f", run.Rate) })
	row("first token after", func(run *demoRun) string { return fmt.Sprintf("%.1f ms", run.TTFT) })
	row("operators run by the worker", func(run *demoRun) string { return count(float64(run.RemoteOps)) })
	b.WriteString("\nfor each further token\n")
	row("  round trips", func(run *demoRun) string { return count(run.PerToken.RoundTrips) })
	a.demoDirection(row, "sent", r, func(run *demoRun) map[string]float64 { return run.PerToken.Sent })
	a.demoDirection(row, "received", r, func(run *demoRun) map[string]float64 { return run.PerToken.Received })
	b.WriteString("\nup to the first token\n")
	row("  sent", func(run *demoRun) string { return amount(sum(run.Setup.Sent)) })
	row("  received", func(run *demoRun) string { return amount(sum(run.Setup.Received)) })
	b.WriteString(rule)
	b.WriteString(`blind     sends every input, weights included, and fetches every output at each call
resident  leaves the weights on the worker: uploaded once, up to the first token
full      leaves the KV cache and the sampling there too; it found the weights by
          their content, so nothing was uploaded again
`)
	return a.printf("%s", b.String())
}

// demoDirection has a row for each cause that moved bytes in some run.
func (a *app) demoDirection(row func(string, func(*demoRun) string), name string, r *demoReport, of func(*demoRun) map[string]float64) {
	row("  bytes "+name, func(run *demoRun) string {
		total := 0.0
		for _, n := range of(run) {
			total += n
		}
		return amount(total)
	})
	for c := range plan.NumCauses {
		cause := plan.Cause(c).String()
		moved := false
		for i := range r.Runs {
			moved = moved || of(&r.Runs[i])[cause] != 0
		}
		if moved {
			row("    "+cause, func(run *demoRun) string { return amount(of(run)[cause]) })
		}
	}
}

// amount is formatBytes with a dash for nothing.
func amount(n float64) string {
	if n == 0 {
		return "-"
	}
	return formatBytes(n)
}

func count(n float64) string {
	switch {
	case n == 0:
		return "-"
	case n == float64(int64(n)):
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.2f", n)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/internal/fleet/simulation"
)

type simulateOptions struct {
	scenario, page string
	routers        []string
	pace           float64
	search, json   bool
	parallel       int
}

func (a *app) fleetSimulateCommand() *cobra.Command {
	o := simulateOptions{}
	cmd := &cobra.Command{
		Use:   "simulate --scenario FILE",
		Short: "Simulate a fleet, and compare ways to route its requests",
		Long: `simulate runs the fleet of a scenario in virtual time, once under each router,
and compares them: throughput, time to the first token, bytes moved, how much of
the prompts was there already, and fairness. It needs no workers. Requests are
routed by the code that routes those of clients, and steps take what the cost
model says. The same scenario and seed give the same result.

docs/simulation.md describes the form of a scenario. The routers are
` + strings.Join(simulation.Routers(), ", ") + ".",
		Example: "  genie fleet simulate --scenario testdata/scenarios/chat.json --page chat.html",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.fleetSimulate(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.scenario, "scenario", "", "file of the scenario (required)")
	f.StringVar(&o.page, "page", "", "also write the result as one HTML page to this file")
	f.StringSliceVar(&o.routers, "router", nil, "routers to compare; those of the scenario, or all, without it")
	f.Float64Var(&o.pace, "pace", 1, "sessions, as a multiple of the scenario's")
	f.BoolVar(&o.search, "search", false, "also look for the most sessions at which the time to the first token meets the scenario's target_p99_seconds")
	f.IntVar(&o.parallel, "parallel", 2, "routers that are simulated at once")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return cmd
}

func (a *app) fleetSimulate(ctx context.Context, o simulateOptions) error {
	switch {
	case o.scenario == "":
		return usagef("--scenario is missing: the file of a scenario")
	case !(o.pace >= 0.001 && o.pace <= 1000):
		return usagef("--pace is %v, want 0.001 to 1000", o.pace)
	case o.parallel < 1 || o.parallel > 64:
		return usagef("--parallel is %d, want 1 to 64", o.parallel)
	}
	s, err := readScenario(o.scenario)
	if err != nil {
		return err
	}
	if o.search && s.Target == 0 {
		return usagef("--search: %s has no target_p99_seconds", o.scenario)
	}
	r, err := s.Run(ctx, simulation.Options{Routers: o.routers, Pace: o.pace, Search: o.search, Parallel: o.parallel})
	if err != nil {
		return err
	}
	if o.page != "" {
		if err := writeSimulation(o.page, r); err != nil {
			return err
		}
	}
	if o.json {
		return a.printJSON(r)
	}
	return a.printf("%s", simulationTable(r))
}

func readScenario(name string) (*simulation.Scenario, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := simulation.Parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func writeSimulation(name string, r *simulation.Result) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(r.WritePage(f), f.Close())
}

// simulationTable is a result for people.
func simulationTable(r *simulation.Result) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s: %d workers, %d sessions, seed %d\n", r.Scenario, r.Workers, r.Sessions, r.Seed)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(w, "router\ttok/s\tp50\tp99\thit rate\tstate moved\tfairness\tfailed")
	if r.Routers[0].Capacity != nil {
		_, _ = fmt.Fprintf(w, "\tsessions at p99 <= %vs", r.Target)
	}
	_, _ = fmt.Fprintln(w)
	for i := range r.Routers {
		x := &r.Routers[i]
		_, _ = fmt.Fprintf(w, "%s\t%.0f\t%.3fs\t%.3fs\t%.1f%%\t%s\t%.3f\t%d",
			x.Router, x.Tokens, x.P50, x.P99, 100*x.HitRate, formatBytes(float64(x.Moved.State)), x.Fairness, x.Failed)
		if x.Capacity != nil {
			_, _ = fmt.Fprintf(w, "\t%.2f times, %.0f tok/s", x.Capacity.Pace, x.Capacity.Tokens)
		}
		_, _ = fmt.Fprintln(w)
	}
	_ = w.Flush()
	return b.String()
}

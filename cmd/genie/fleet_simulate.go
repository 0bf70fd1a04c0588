package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/internal/fleet/simulation"
)

type fleetSimulateOptions struct {
	scenario string
	page     string
	routers  []string
	pace     float64
	search   bool
	parallel int
	json     bool
}

func (a *app) fleetSimulateCommand() *cobra.Command {
	var o fleetSimulateOptions
	cmd := &cobra.Command{
		Use:   "simulate --scenario FILE",
		Short: "Simulate a fleet and compare routers",
		Long: `simulate runs a scenario, which docs/simulation.md describes, in virtual time under
each router: workers, links, sessions and failures of a fleet that need not exist.
Steps take what the cost model predicts. One scenario and one seed always give one
result. It needs no device and no worker.`,
		Example: "  genie fleet simulate --scenario testdata/scenarios/chat.json\n  genie fleet simulate --scenario fleet.json --router meaning,prefix-tree --pace 2 --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := simulateFleet(cmd.Context(), &o, cmd.Flags().Changed("pace"))
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
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.scenario, "scenario", "", "JSON file of the fleet and its sessions")
	f.StringVar(&o.page, "page", "", "also write the result as one HTML page to this file")
	f.StringSliceVar(&o.routers, "router", nil, "routers to compare: "+strings.Join(simulation.Routers(), ", ")+" (default: those of the scenario, or all)")
	f.Float64Var(&o.pace, "pace", 1, "factor for the rate and the number of sessions")
	f.BoolVar(&o.search, "search", false, "also look for the highest pace at which the 99th percentile meets the scenario's target")
	f.IntVar(&o.parallel, "parallel", 1, "how many routers are simulated at once, 1 to 64")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

// simulateFleet reads a scenario and runs it.
func simulateFleet(ctx context.Context, o *fleetSimulateOptions, paced bool) (*simulation.Result, error) {
	switch {
	case o.scenario == "":
		return nil, usagef("--scenario FILE is missing")
	case paced && !(o.pace >= 1/simulation.MaxPace && o.pace <= simulation.MaxPace):
		return nil, usagef("--pace is %v, want %v to %v", o.pace, 1/simulation.MaxPace, simulation.MaxPace)
	case o.parallel < 1 || o.parallel > 64:
		return nil, usagef("--parallel is %d, want 1 to 64", o.parallel)
	}
	s, err := readScenario(o.scenario)
	if err != nil {
		return nil, err
	}
	if o.search && s.Target == 0 {
		return nil, usagef("--search: %s has no target_p99_seconds", o.scenario)
	}
	for _, name := range o.routers {
		if !slices.Contains(simulation.Routers(), name) {
			return nil, usagef("--router is %.40q, not one of %s", name, strings.Join(simulation.Routers(), ", "))
		}
	}
	return s.Run(ctx, simulation.Options{Routers: o.routers, Pace: o.pace, Search: o.search, Parallel: o.parallel})
}

func readScenario(path string) (s *simulation.Scenario, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if s, err = simulation.Parse(file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func writeSimulation(name string, r *simulation.Result) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return errors.Join(r.WritePage(f), f.Close())
}

// simulationTable is the result for people.
func simulationTable(r *simulation.Result) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s: %d workers, %d sessions, seed %d; simulated, not measured\n\n", r.Scenario, r.Workers, r.Sessions, r.Seed)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	search := false
	for i := range r.Routers {
		search = search || r.Routers[i].Capacity != nil
	}
	head := "router\ttokens/s\tfirst token p50\tp99\tmoved\thit rate\tfairness\tfailed\tresumed"
	if search {
		head += "\thighest pace\ttokens/s at it"
	}
	_, _ = fmt.Fprintln(w, head)
	for i := range r.Routers {
		x := &r.Routers[i]
		moved := x.Moved.Prompts + x.Moved.Answers + x.Moved.State
		_, _ = fmt.Fprintf(w, "%s\t%.0f\t%s\t%s\t%s\t%.1f%%\t%.3f\t%d\t%d", x.Router, x.Tokens, formatSeconds(x.P50), formatSeconds(x.P99),
			formatBytes(float64(moved)), 100*x.HitRate, x.Fairness, x.Failed, x.Resumed)
		switch {
		case !search:
		case x.Capacity == nil || x.Capacity.Pace == 0:
			_, _ = fmt.Fprint(w, "\t-\t-")
		default:
			_, _ = fmt.Fprintf(w, "\t%.3g\t%.0f", x.Capacity.Pace, x.Capacity.Tokens)
		}
		_, _ = fmt.Fprintln(w)
	}
	_ = w.Flush()
	return b.String()
}

// formatSeconds writes a time for people.
func formatSeconds(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.1f ms", 1e3*s)
	}
	return fmt.Sprintf("%.2f s", s)
}

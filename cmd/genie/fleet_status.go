package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/route"
)

// fleetReport is a fleet at one moment.
type fleetReport struct {
	Directory string         `json:"directory"`
	Time      time.Time      `json:"time"`
	Lost      bool           `json:"lost"`    // the directory cannot be reached now
	Refused   int            `json:"refused"` // entries that cannot be
	Workers   []workerReport `json:"workers"`
}

// workerReport is what one of its workers says of itself.
type workerReport struct {
	ID       string    `json:"id"`
	Address  string    `json:"address"`
	State    string    `json:"state"` // ready, draining or silent
	Version  string    `json:"version"`
	Kernels  string    `json:"kernels"`
	Zone     string    `json:"zone,omitempty"`
	Started  time.Time `json:"started"`
	Age      float64   `json:"age_s"` // since it said so
	Sessions int       `json:"sessions"`
	Running  int       `json:"running"`
	Waiting  int       `json:"waiting"`
	Runs     int64     `json:"runs"`
	RunRate  float64   `json:"runs_per_s"`
	Sent     int64     `json:"sent_bytes"`
	Received int64     `json:"received_bytes"`
	UpRate   float64   `json:"sent_bytes_per_s"`
	DownRate float64   `json:"received_bytes_per_s"`
	Memory   int64     `json:"memory_bytes"`
	Free     int64     `json:"free_bytes"`
	FLOPS    float64   `json:"flops"`
	Read     float64   `json:"read_bytes_per_s"`
	Filter   bool      `json:"lists_weights"`
	Metrics  string    `json:"metrics,omitempty"`
}

// newFleetReport compares a follower's workers with those of an earlier report, for
// the rates; before is nil for none.
func newFleetReport(at string, f *fleet.Follower, before *fleetReport) *fleetReport {
	r := &fleetReport{Directory: at, Time: time.Now(), Lost: f.Lost(), Refused: f.Refused(), Workers: []workerReport{}}
	old := map[string]*workerReport{}
	if before != nil {
		for i := range before.Workers {
			old[before.Workers[i].ID] = &before.Workers[i]
		}
	}
	for _, s := range f.Workers() {
		w := newWorkerReport(&s)
		if was := old[w.ID]; was != nil {
			seconds := r.Time.Sub(before.Time).Seconds()
			w.RunRate = float64(max(w.Runs-was.Runs, 0)) / seconds
			w.UpRate, w.DownRate = float64(max(w.Sent-was.Sent, 0))/seconds, float64(max(w.Received-was.Received, 0))/seconds
		}
		r.Workers = append(r.Workers, w)
	}
	return r
}

func newWorkerReport(s *fleet.Status) workerReport {
	w := workerReport{
		ID: s.ID, Address: s.Address, State: "ready", Version: s.Version, Kernels: s.Path, Zone: s.Zone, Started: s.Started, Age: s.Age.Seconds(),
		Sessions: s.Load.Sessions, Running: s.Load.Running, Runs: s.Runs, Sent: s.Sent, Received: s.Got,
		Memory: s.Memory, Free: s.Free, FLOPS: s.Speed.FLOPS, Read: s.Speed.Read, Filter: s.Weights != nil, Metrics: s.Metrics,
	}
	for c := range route.Classes {
		w.Waiting += s.Load.Waiting[c]
	}
	switch {
	case s.Stale:
		w.State = "silent"
	case s.Draining:
		w.State = "draining"
	}
	return w
}

// table is the report for people.
func (r *fleetReport) table() string {
	var b strings.Builder
	state := ""
	if r.Lost {
		state = "  THE DIRECTORY CANNOT BE REACHED, these are the last that were known"
	}
	_, _ = fmt.Fprintf(&b, "%s  %s  %d workers%s\n\n", r.Directory, r.Time.Format(time.TimeOnly), len(r.Workers), state)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "address\tstate\tsessions\trunning\twaiting\truns/s\tsent/s\treceived/s\tfree\tkernels\tversion\tage")
	for i := range r.Workers {
		x := &r.Workers[i]
		free := "-"
		if x.Memory > 0 {
			free = formatBytes(float64(x.Free))
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%.1f\t%s\t%s\t%s\t%s\t%s\t%.1fs\n", x.Address, x.State, x.Sessions, x.Running, x.Waiting, x.RunRate,
			formatBytes(x.UpRate), formatBytes(x.DownRate), free, x.Kernels, x.Version, x.Age)
	}
	_ = w.Flush()
	if r.Refused > 0 {
		_, _ = fmt.Fprintf(&b, "\n%d entries of the directory are left out: they cannot be\n", r.Refused)
	}
	return b.String()
}

type fleetStatusOptions struct {
	directory directoryFlags
	timeout   time.Duration
	json      bool
}

func (a *app) fleetStatusCommand() *cobra.Command {
	var o fleetStatusOptions
	cmd := &cobra.Command{
		Use:   "status URL",
		Short: "List the workers of a fleet",
		Long: `status lists the workers in a directory: nats://host:port, tls://host:port, or
file:///folder. It fails when the directory cannot be reached.`,
		Example: "  genie fleet status nats://127.0.0.1:4222\n  genie fleet status nats://127.0.0.1:4222 --json",
		Args:    oneArg("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, done, err := a.follow(cmd.Context(), args[0], &o.directory, o.timeout)
			if err != nil {
				return err
			}
			defer done()
			r := newFleetReport(args[0], f, nil)
			if o.json {
				return a.printJSON(r)
			}
			return a.printf("%s", r.table())
		},
	}
	f := cmd.Flags()
	o.directory.flags(f)
	f.DurationVar(&o.timeout, "timeout", 5*time.Second, "how long to wait for the directory")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

// follow follows a directory.
func (a *app) follow(ctx context.Context, url string, flags *directoryFlags, timeout time.Duration) (*fleet.Follower, func(), error) {
	if !directoryURL(url) {
		return nil, nil, usagef("%q is not nats://host:port, tls://host:port or file:///folder", url)
	}
	dir, err := flags.open(url, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%s: no answer within %v", url, timeout))
	defer cancel()
	f, err := fleet.Follow(ctx, dir, fleet.FollowOptions{})
	if err != nil {
		_ = dir.Close()
		return nil, nil, err
	}
	return f, func() { _, _ = f.Close(), dir.Close() }, nil
}

// clearScreen clears a terminal between two tables; elsewhere tables follow each other.
func (a *app) clearScreen(once bool) string {
	if f, ok := a.stdout.(*os.File); ok && !once && term.IsTerminal(int(f.Fd())) {
		return "\x1b[H\x1b[2J"
	}
	return ""
}

// topFleet shows all workers of a fleet, every interval.
func (a *app) topFleet(ctx context.Context, url string, o topOptions) error {
	f, done, err := a.follow(ctx, url, &o.directory, 10*time.Second)
	if err != nil {
		return leave(ctx, err)
	}
	defer done()
	before := newFleetReport(url, f, nil)
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := newFleetReport(url, f, before)
		if o.json {
			err = a.printJSON(now)
		} else {
			err = a.printf("%s%s\n", a.clearScreen(o.once), now.table())
		}
		if err != nil || o.once {
			return err
		}
		before = now
	}
}

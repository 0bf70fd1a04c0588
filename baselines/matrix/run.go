package matrix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/genie-sdk/go/baselines/results"
)

var (
	// ErrBadResult is a case's result that cannot be recorded.
	ErrBadResult = errors.New("genie: bad benchmark result")
	// ErrName is a case whose name does not tell workload and baseline, or is
	// another one's.
	ErrName = errors.New("genie: bad benchmark name")
)

// Options say how a matrix is run.
type Options struct {
	// Count is how many samples of each case are wanted; at least 1.
	Count int
	// Alive is how many cases may be open at once; 0 is as many as there are.
	// Where it is 1, a case is opened and closed for every sample.
	Alive  int
	Header Header
	// Done is what an earlier run recorded, from [Resume]. Unless it is nil, the
	// head of the file is not written again.
	Done map[results.Key]int
	// Available is the memory that is free, in bytes; false when it is not known.
	// It may be nil.
	Available func() (int64, bool)
	// Progress is told of every step; it may be nil.
	Progress func(Progress)
}

// Progress says how far a run is.
type Progress struct {
	// Doing is the case that is opened or measured next; empty at the end.
	Doing string
	// Opening tells opening a case from measuring it.
	Opening     bool
	Done, Total int // samples
	Elapsed     time.Duration
	// Left is an estimate from the samples so far, and 0 before the first.
	Left time.Duration
}

// Outcome is what a run left beside the samples.
type Outcome struct {
	Samples int // recorded by this run
	// Absent are the cases that were left out or failed.
	Absent []results.Absence
}

// Failed counts the cases that went wrong.
func (o *Outcome) Failed() int {
	n := 0
	for _, a := range o.Absent {
		if a.Failed {
			n++
		}
	}
	return n
}

// Run measures all groups and writes to w. It returns an error when the context
// ends (its cause) or w fails; all cases are closed then. A case that fails is
// part of the outcome and ends nothing else.
func Run(ctx context.Context, w io.Writer, groups [][]Case, o Options) (*Outcome, error) {
	if err := checkNames(groups); err != nil {
		return nil, err
	}
	o.Count = max(o.Count, 1)
	r := &runner{o: o, out: newRecorder(w, &o.Header), outcome: &Outcome{}}
	r.clock.start(groups, o)
	if o.Done == nil {
		if err := o.Header.write(w); err != nil {
			return r.outcome, err
		}
	}
	for _, group := range groups {
		if err := r.group(ctx, group); err != nil {
			return r.outcome, err
		}
	}
	r.report("", false)
	return r.outcome, nil
}

// checkNames refuses cases that a reader of the file could not tell apart.
func checkNames(groups [][]Case) error {
	seen := map[results.Key]bool{}
	for _, group := range groups {
		for _, c := range group {
			k := results.ParseName(c.Name())
			switch {
			case k.Workload == "" || k.Baseline == "":
				return fmt.Errorf("%w: %s: no workload or no baseline", ErrName, c.Name())
			case k.String() != results.ParseName(fullName(c.Name(), 2)).String() || strings.ContainsAny(c.Name(), " \t\n"):
				return fmt.Errorf("%w: %s: a space, or a number at the end that reads as GOMAXPROCS", ErrName, c.Name())
			case seen[k]:
				return fmt.Errorf("%w: %s: there are two", ErrName, c.Name())
			}
			seen[k] = true
		}
	}
	return nil
}

type runner struct {
	o       Options
	out     *recorder
	outcome *Outcome
	clock   clock
}

// member is a case of the group that is running.
type member struct {
	Case

	key  results.Key
	want int // samples
	done int // samples, those of an earlier run included
	out  bool
}

// group runs one group to its end.
func (r *runner) group(ctx context.Context, cases []Case) (err error) {
	var members []*member
	for _, c := range cases {
		k := results.ParseName(c.Name())
		members = append(members, &member{Case: c, key: k, want: samples(c, r.o.Count), done: r.o.Done[k]})
	}
	var open []*member // least recently used first
	defer func() {
		for _, m := range open {
			err = errors.Join(err, r.close(m))
		}
	}()
	if r.o.Alive == 0 || r.o.Alive >= len(members) && r.o.Alive > 1 {
		// All are there before the first is measured: every round is like another.
		for _, m := range members {
			if m.done >= m.want {
				continue
			}
			if open, err = r.ready(ctx, m, open); err != nil {
				return err
			}
		}
	}
	for round := range r.o.Count {
		for i := range members {
			m := members[(i+round)%len(members)]
			// A resumed run takes part in the rounds that it lacks.
			if m.out || m.done > round || m.done >= m.want {
				continue
			}
			if open, err = r.ready(ctx, m, open); err != nil {
				return err
			}
			if m.out {
				continue
			}
			if err := r.sample(ctx, m); err != nil {
				return err
			}
			if m.out || r.o.Alive == 1 || m.done >= m.want && r.o.Alive > 0 {
				open = slices.DeleteFunc(open, func(x *member) bool { return x == m })
				if err := r.close(m); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ready opens a member unless it is open, and closes others first where only so
// many may be open. The member is last in what it returns, unless it is out.
func (r *runner) ready(ctx context.Context, m *member, open []*member) ([]*member, error) {
	if i := slices.Index(open, m); i >= 0 {
		return append(slices.Delete(open, i, i+1), m), nil
	}
	for r.o.Alive > 0 && len(open) >= r.o.Alive {
		if err := r.close(open[0]); err != nil {
			return open[1:], err
		}
		open = open[1:]
	}
	if err := context.Cause(ctx); err != nil {
		return open, err
	}
	r.report(m.Name(), true)
	if reason := r.tooLarge(m); reason != "" {
		return open, r.leaveOut(m, results.Absence{Reason: reason})
	}
	if err := m.Open(ctx); err != nil {
		if ended := context.Cause(ctx); ended != nil {
			return open, ended
		}
		return open, r.leaveOut(m, results.Absence{Reason: reason(err), Failed: !errors.Is(err, ErrUnavailable)})
	}
	open = append(open, m)
	if v, ok := m.Case.(Versioned); ok {
		return open, r.out.versions(v.Versions())
	}
	return open, nil
}

// tooLarge says why there is too little memory for a case.
func (r *runner) tooLarge(m *member) string {
	sized, ok := m.Case.(Sized)
	if !ok || r.o.Available == nil {
		return ""
	}
	need := sized.MemoryBytes()
	if free, known := r.o.Available(); known && need > free {
		return fmt.Sprintf("needs %.1f GiB of memory, %.1f GiB are available", float64(need)/(1<<30), float64(free)/(1<<30))
	}
	return ""
}

// sample measures once and records it.
func (r *runner) sample(ctx context.Context, m *member) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	r.report(m.Name(), false)
	start := time.Now()
	values, iterations, err := m.Run(ctx)
	if ended := context.Cause(ctx); ended != nil {
		return ended // a sample that was cut short is none
	}
	if err == nil {
		err = r.out.result(m.Name(), values, iterations)
		if err != nil && !errors.Is(err, ErrBadResult) {
			return err
		}
	}
	if err != nil {
		return r.leaveOut(m, results.Absence{Reason: reason(err), Failed: true})
	}
	m.done++
	r.outcome.Samples++
	r.clock.sampled(m.key, time.Since(start))
	return nil
}

// reason is an error as the file has it: without the sentinels' prefix, and
// without saying that what is listed as unavailable is unavailable.
func reason(err error) string {
	text := strings.ReplaceAll(err.Error(), "genie: ", "")
	if cut, ok := strings.CutPrefix(text, "unavailable: "); ok && errors.Is(err, ErrUnavailable) {
		return cut
	}
	return text
}

// leaveOut records that a member takes no further part.
func (r *runner) leaveOut(m *member, a results.Absence) error {
	m.out = true
	a.Key = m.key
	r.outcome.Absent = append(r.outcome.Absent, a)
	r.clock.drop(m.key)
	return r.out.absence(a)
}

// close ends a member. One that cannot end has failed, whatever it measured.
func (r *runner) close(m *member) error {
	err := m.Close()
	if err == nil || m.out {
		return nil
	}
	return r.leaveOut(m, results.Absence{Reason: "close: " + reason(err), Failed: true})
}

func (r *runner) report(doing string, opening bool) {
	if r.o.Progress == nil {
		return
	}
	p := r.clock.progress()
	p.Doing, p.Opening = doing, opening
	r.o.Progress(p)
}

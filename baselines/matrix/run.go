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
	// ErrName is the error of a case whose name lacks workload or baseline, or
	// is already in use.
	ErrName = errors.New("genie: bad benchmark name")
)

// Options configure the run of a matrix.
type Options struct {
	// Count is the number of samples of each case; at least 1.
	Count int
	// Alive is the number of cases that may be open at once; 0 means all. With
	// 1, a case is opened and closed for every sample.
	Alive  int
	Header Header
	// Done is what an earlier run recorded, from [Resume]. Unless it is nil, the
	// head of the file is not written again.
	Done map[results.Key]int
	// Available returns the free memory in bytes; false when it is unknown. It
	// may be nil.
	Available func() (int64, bool)
	// Progress is called at every step; it may be nil.
	Progress func(Progress)
}

// Progress is the progress of a run.
type Progress struct {
	// Doing is the case that is opened or measured next; empty at the end.
	Doing string
	// Opening distinguishes opening a case from measuring it.
	Opening     bool
	Done, Total int // samples
	Elapsed     time.Duration
	// Left is an estimate from the samples so far, and 0 before the first.
	Left time.Duration
}

// Outcome is the result of a run apart from the samples.
type Outcome struct {
	Samples int // recorded by this run
	// Absent are the cases that were omitted or failed.
	Absent []results.Absence
}

// Failed counts the failed cases.
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
// ends (its cause) or w fails; all cases are closed then. The failure of a case
// is part of the outcome and does not end the run.
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

// checkNames refuses cases that a reader of the file could not distinguish.
func checkNames(groups [][]Case) error {
	seen := map[results.Key]bool{}
	for _, group := range groups {
		for _, c := range group {
			k := results.ParseName(c.Name())
			switch {
			case k.Workload == "" || k.Baseline == "":
				return fmt.Errorf("%w: %s: no workload or no baseline", ErrName, c.Name())
			case k.String() != results.ParseName(fullName(c.Name(), 2)).String() || strings.ContainsAny(c.Name(), " \t\n"):
				return fmt.Errorf("%w: %s: it contains a space, or ends in a number that parses as GOMAXPROCS", ErrName, c.Name())
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

// member is a case of the running group.
type member struct {
	Case

	key  results.Key
	want int // samples
	done int // samples, including those of an earlier run
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
		// All cases are open before the first is measured, so that every round
		// is alike.
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

// ready opens a member unless it is open, and closes others first where the
// number of open cases is limited. The member is last in the returned list,
// unless it is out.
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

// tooLarge explains why there is too little memory for a case.
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
		return ended // an interrupted sample does not count
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

// reason is an error as written to the file: without the sentinels' prefix, and
// without repeating that an unavailable case is unavailable.
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

// close ends a member. A member that cannot end has failed, whatever it
// measured.
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

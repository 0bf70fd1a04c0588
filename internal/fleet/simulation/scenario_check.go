package simulation

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/semantic"
)

// Bounds of a scenario.
const (
	MaxWorkers  = 1 << 15
	MaxSessions = 4 << 20
	MaxSeconds  = 31 * 24 * 3600
	MaxPace     = 1024.0
	maxList     = 64
	maxName     = 64
	maxTokens   = 1 << 15
	maxTurns    = 1024
	maxPrefixes = 1 << 20
	maxTenants  = 1 << 16
	maxBatch    = 1024
	maxMemory   = 1 << 14 // GiB
)

// checker collects the first thing that is wrong.
type checker struct{ err error }

// wantf reports what a value has to be, unless it is.
func (c *checker) wantf(ok bool, format string, args ...any) {
	if !ok && c.err == nil {
		c.err = fmt.Errorf("%w: "+format, append([]any{ErrScenario}, args...)...)
	}
}

// withinf holds a number between two. A number that is none is in no interval.
func (c *checker) withinf(v, low, high float64, format string, args ...any) {
	c.wantf(v >= low && v <= high, "%s is %v, want %v to %v", fmt.Sprintf(format, args...), v, low, high)
}

func (c *checker) namef(s, format string, args ...any) {
	printable := s != "" && len(s) <= maxName
	for _, r := range s {
		printable = printable && r >= ' ' && r != 0x7f && r != '�'
	}
	c.wantf(printable, "%s is named %.80q, want 1 to %d bytes that print", fmt.Sprintf(format, args...), s, maxName)
}

// check holds a scenario to its bounds.
func (s *Scenario) check() error {
	c := &checker{}
	c.namef(s.Name, "the scenario")
	c.wantf(len(s.About) <= 4096, "about has %d bytes", len(s.About))
	c.withinf(s.Second, 0.001, MaxSeconds, "seconds")
	c.withinf(s.Report, 0.01, 3600, "report_seconds")
	c.wantf(s.Filter == 0 || s.Filter >= s.Report && s.Filter <= MaxSeconds, "filter_seconds is %v, want 0 or report_seconds to %v", s.Filter, MaxSeconds)
	c.withinf(s.Detect, 0.001, 3600, "detect_seconds")
	c.wantf(s.Target == 0 || s.Target >= 0.001 && s.Target <= 3600, "target_p99_seconds is %v", s.Target)
	c.wantf(len(s.Models) >= 1 && len(s.Models) <= maxList && len(s.Workers) >= 1 && len(s.Workers) <= maxList &&
		len(s.Sessions) >= 1 && len(s.Sessions) <= maxList && len(s.Drains) <= maxList && len(s.Devices) <= maxList,
		"models, workers and sessions are 1 to %d each, drains and devices at most", maxList)
	for _, r := range s.Router {
		c.wantf(slices.Contains(Routers(), r), "there is no router %.40q; there is %v", r, Routers())
	}
	if d := s.Day; d != nil {
		c.withinf(d.Seconds, 1, MaxSeconds, "seconds of the day")
		c.withinf(d.Amplitude, 0, 1, "amplitude of the day")
	}
	s.checkDevices(c)
	s.checkModels(c)
	s.checkWorkers(c)
	s.checkSessions(c)
	return c.err
}

func (s *Scenario) checkModels(c *checker) {
	names := map[string]bool{}
	for i := range s.Models {
		m := &s.Models[i]
		c.namef(m.Name, "model %d", i)
		c.wantf(!names[m.Name], "two models are named %.80q", m.Name)
		names[m.Name] = true
		d, err := m.decoder()
		if err == nil {
			err = d.Check()
		}
		if err != nil {
			c.wantf(false, "model %.80q: %v", m.Name, err)
		}
	}
}

func (s *Scenario) checkWorkers(c *checker) {
	workers, names := 0, map[string]bool{}
	for i := range s.Workers {
		w := &s.Workers[i]
		c.namef(w.Name, "workers %d", i)
		c.wantf(!names[w.Name], "two groups of workers are named %.80q", w.Name)
		names[w.Name] = true
		c.withinf(float64(w.Count), 1, MaxWorkers, "count of workers %.80q", w.Name)
		workers += min(w.Count, MaxWorkers)
		c.withinf(w.Memory, 0.001, maxMemory, "memory_gib of %.80q", w.Name)
		c.withinf(w.Link.Gbit, 1e-6, 1e5, "link.gbit of %.80q", w.Name)
		c.withinf(w.Link.Delay, 0, 1e4, "link.delay_ms of %.80q", w.Name)
		c.withinf(float64(w.MaxBatch), 1, maxBatch, "max_batch of %.80q", w.Name)
		c.withinf(float64(w.Chunk), 1, maxTokens, "chunk of %.80q", w.Name)
		c.withinf(w.Fails, 0, 3600, "fails of %.80q", w.Name)
		c.withinf(w.Repair, 0, MaxSeconds, "repair_seconds of %.80q", w.Name)
		if _, err := s.device(w.Device); err != nil {
			c.wantf(false, "workers %.80q: %v", w.Name, err)
		}
		s.checkHeld(c, w)
	}
	c.wantf(workers <= MaxWorkers, "%d workers, at most %d", workers, MaxWorkers)
	for i, d := range s.Drains {
		c.withinf(d.At, 0, MaxSeconds, "at_seconds of drain %d", i)
		c.withinf(d.Grace, 0, MaxSeconds, "grace_seconds of drain %d", i)
		c.withinf(d.Absent, 0, MaxSeconds, "absent_seconds of drain %d", i)
		at := slices.IndexFunc(s.Workers, func(w Workers) bool { return w.Name == d.Group })
		c.wantf(at >= 0, "drain %d: no workers are named %.80q", i, d.Group)
		c.wantf(at < 0 || d.Count >= 1 && d.Count <= s.Workers[max(at, 0)].Count, "drain %d of %d workers", i, d.Count)
	}
}

// checkHeld wants the weights that a worker holds to fit, with half of a GiB, or
// as much again where memory is small, for state.
func (s *Scenario) checkHeld(c *checker, w *Workers) {
	c.wantf(len(w.Models) >= 1 && len(w.Models) <= 16, "workers %.80q hold %d models, want 1 to 16", w.Name, len(w.Models))
	var held int64
	seen := map[string]bool{}
	for _, name := range w.Models {
		i := s.model(name)
		c.wantf(i >= 0 && !seen[name], "workers %.80q hold %.80q, which is no model, or twice", w.Name, name)
		seen[name] = true
		if i >= 0 {
			if d, err := s.Models[i].decoder(); err == nil {
				held += d.WeightBytes()
			}
		}
	}
	c.wantf(float64(held) < w.Memory*(1<<30), "workers %.80q: %d bytes of weights in %v GiB", w.Name, held, w.Memory)
}

func (s *Scenario) checkSessions(c *checker) {
	sessions := 0
	for i := range s.Sessions {
		g := &s.Sessions[i]
		c.namef(g.Name, "sessions %d", i)
		c.wantf(s.model(g.Model) >= 0, "sessions %.80q: there is no model %.80q", g.Name, g.Model)
		c.wantf(slices.ContainsFunc(s.Workers, func(w Workers) bool { return slices.Contains(w.Models, g.Model) }),
			"sessions %.80q: no worker holds model %.80q", g.Name, g.Model)
		_, err := route.ParseClass(g.Class)
		c.wantf(err == nil, "sessions %.80q: class %.40q", g.Name, g.Class)
		c.withinf(float64(g.Count), 1, MaxSessions, "count of sessions %.80q", g.Name)
		sessions += min(g.Count, MaxSessions)
		c.withinf(float64(g.Tenants), 1, maxTenants, "tenants of %.80q", g.Name)
		if p := g.Prefixes; p != nil {
			c.withinf(float64(p.Count), 1, maxPrefixes, "prefixes of %.80q", g.Name)
			c.withinf(float64(p.Tokens), 1, maxTokens, "prefixes.tokens of %.80q", g.Name)
			c.withinf(p.Skew, 0, 4, "prefixes.skew of %.80q", g.Name)
		}
		for _, r := range []struct {
			name string
			Range
			most int
		}{{"turns", g.Turns, maxTurns}, {"prompt", g.Prompt, maxTokens}, {"output", g.Output, maxTokens}} {
			c.wantf(r.Min >= 1 && r.Min <= r.Max && r.Max <= r.most, "%s of %.80q is %d to %d, want 1 to %d", r.name, g.Name, r.Min, r.Max, r.most)
		}
		c.wantf(g.Think.Min >= 0 && g.Think.Min <= g.Think.Max && g.Think.Max <= MaxSeconds, "think_seconds of %.80q is %v to %v", g.Name, g.Think.Min, g.Think.Max)
		c.wantf(g.Turns.Max*(g.Prompt.Max+g.Output.Max) <= 1<<20, "a session of %.80q has up to %d tokens, at most %d", g.Name, g.Turns.Max*(g.Prompt.Max+g.Output.Max), 1<<20)
	}
	c.wantf(sessions <= MaxSessions, "%d sessions, at most %d", sessions, MaxSessions)
}

func (s *Scenario) model(name string) int {
	return slices.IndexFunc(s.Models, func(m Model) bool { return m.Name == name })
}

// device is a device by the scenario's own name or that of the published figures.
func (s *Scenario) device(name string) (semantic.Device, error) {
	if d, ok := s.Devices[name]; ok {
		return d, nil
	}
	if name == "cpu" {
		return semantic.ReferenceDevice(), nil
	}
	if d, ok := semantic.PublishedNamed(name); ok {
		return d, nil
	}
	return semantic.Device{}, fmt.Errorf("there is no device %.80q", name)
}

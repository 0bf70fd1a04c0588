package results

import (
	"fmt"
	"math"
	"slices"
)

// Reason is why a gate is closed.
type Reason string

// The reasons to close a gate.
const (
	Regression  Reason = "regression"   // significantly worse, and by more than allowed
	ExactChange Reason = "exact-change" // a unit without noise has another value
	Disappeared Reason = "disappeared"  // a case or one of its units is no longer measured
	Failed      Reason = "failed"       // a case has results and then failed
)

// Finding is one reason to close a gate.
type Finding struct {
	Key
	Unit   string   `json:"unit,omitempty"` // none when the whole case disappeared
	Reason Reason   `json:"reason"`
	Old    *float64 `json:"old,omitempty"` // medians, in the base unit
	New    *float64 `json:"new,omitempty"`
	// Percent is the change of the median, P its probability by chance.
	Percent *float64 `json:"percent,omitempty"`
	P       *float64 `json:"p,omitempty"`
	Detail  string   `json:"detail,omitempty"`
}

// Verdict is the result of a gate.
type Verdict struct {
	OK       bool      `json:"ok"`
	Findings []Finding `json:"findings"`
	// Compared counts the pairs of samples judged.
	Compared int `json:"compared"`
	// Undirected counts the pairs that only an exact change could fail: neither
	// direction is better.
	Undirected int `json:"undirected"`
	// TooFew counts pairs with too few samples for any difference to be
	// significant.
	TooFew int `json:"too_few"`
	// Added are cases that the old recording lacks.
	Added []Key `json:"added"`
}

// Gate compares two recordings. A change for the worse closes the gate when it
// is significant and larger than maxRegress, a fraction of the old median. So
// does any change of an exact unit, and a case that failed or that lost one or
// all of its units.
func Gate(before, after *File, maxRegress float64) Verdict {
	v := Verdict{Findings: []Finding{}, Added: []Key{}}
	for _, o := range before.Cases {
		n := after.Find(o.Key)
		if n == nil {
			v.Findings = append(v.Findings, Finding{Key: o.Key, Reason: Disappeared, Detail: after.whyAbsent(o.Key)})
			continue
		}
		if a := after.absence(o.Key); a != nil && a.Failed {
			v.Findings = append(v.Findings, Finding{Key: o.Key, Reason: Failed, Detail: a.Reason})
		}
		for _, unit := range o.Units() {
			v.judge(before, after, o, n, unit, maxRegress)
		}
	}
	for _, n := range after.Cases {
		if before.Find(n.Key) == nil {
			v.Added = append(v.Added, n.Key)
		}
	}
	v.OK = len(v.Findings) == 0
	return v
}

// whyAbsent is the recorded reason for a case without results.
func (f *File) whyAbsent(k Key) string {
	if a := f.absence(k); a != nil {
		return a.Reason
	}
	return "not in " + f.Path
}

func (f *File) absence(k Key) *Absence {
	i := slices.IndexFunc(f.Absent, func(a Absence) bool { return a.Key == k })
	if i < 0 {
		return nil
	}
	return &f.Absent[i]
}

// judge compares one unit of a case.
func (v *Verdict) judge(before, after *File, o, n *Case, unit string, maxRegress float64) {
	c, ok := Compare(o, n, unit)
	if !ok {
		v.Findings = append(v.Findings, Finding{Key: o.Key, Unit: unit, Reason: Disappeared, Detail: "the case no longer has this unit"})
		return
	}
	v.Compared++
	finding := Finding{Key: o.Key, Unit: unit, Old: &c.Old.Median, New: &c.New.Median, Percent: c.Percent}
	if before.Exact(unit) || after.Exact(unit) {
		if detail := exactChange(c); detail != "" {
			finding.Reason, finding.Detail = ExactChange, detail
			v.Findings = append(v.Findings, finding)
		}
		return
	}
	direction := after.Direction(unit)
	switch {
	case direction == 0:
		v.Undirected++
		return
	case c.TooFew:
		v.TooFew++
		return
	}
	if c.Significant && worse(c, direction) > maxRegress {
		finding.Reason, finding.P = Regression, &c.P
		v.Findings = append(v.Findings, finding)
	}
}

// exactChange describes how an exact unit changed; empty when it did not.
func exactChange(c Change) string {
	for _, s := range []struct {
		name string
		of   Summary
	}{{"old", c.Old}, {"new", c.New}} {
		if s.of.Min != s.of.Max {
			return fmt.Sprintf("varies from %g to %g in the %s recording", s.of.Min, s.of.Max, s.name)
		}
	}
	if c.Old.Median != c.New.Median {
		return fmt.Sprintf("%g became %g", c.Old.Median, c.New.Median)
	}
	return ""
}

// worse is the fraction of the old median by which the median became worse;
// negative when it became better.
func worse(c Change, direction int) float64 {
	d := float64(-direction) * (c.New.Median - c.Old.Median)
	switch {
	case c.Old.Median != 0:
		return d / math.Abs(c.Old.Median)
	case d > 0:
		return math.Inf(1)
	}
	return 0
}

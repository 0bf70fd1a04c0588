package transport

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/genie-sdk/go/transport/plan"
)

// Profile is where the time of the profiled runs of one plan went, see
// [Call.Profile].
type Profile struct {
	Plan plan.Hash `json:"plan"`
	Name string    `json:"name"` // of the plan
	Runs int64     `json:"runs"` // the profiled ones
	// Groups are in running order. A group whose kernel depends on the sizes of
	// a run has an entry for each of its kernels.
	Groups []GroupProfile `json:"groups"`
}

// GroupProfile is what profiled runs spent on one group: the steps of a plan that
// one kernel computes.
type GroupProfile struct {
	// Kernel names what computed it, such as gemm; see [GroupProfile.Reference].
	Kernel string `json:"kernel"`
	// Steps are the steps of the plan, by index, that are computed; nil where
	// the plan has so many groups that an executor adds up the fastest.
	Steps []int `json:"steps"`
	// Name is their operators, with the shapes of weights, see [GroupName].
	Name  string        `json:"name"`
	Time  time.Duration `json:"ns"`
	Count int64         `json:"count"` // runs that computed it
	Bytes int64         `json:"bytes"` // that all of them read and wrote
}

// Reference reports whether a group was computed by the reference of its
// operator: there is no kernel for it, and it is slow.
func (g *GroupProfile) Reference() bool { return IsReference(g.Kernel) }

// IsReference reports whether what a kernel's name says is the reference of an
// operator, on whatever device.
func IsReference(kernel string) bool { return strings.HasSuffix(kernel, "reference") }

// Time is the sum of the groups.
func (p *Profile) Time() (d time.Duration) {
	for i := range p.Groups {
		d = time.Duration(sum(int64(d), int64(p.Groups[i].Time)))
	}
	return d
}

// AddProfiles adds profiles to those of the same plans.
func (s *Stats) AddProfiles(profiles ...Profile) {
	for i := range profiles {
		p := &profiles[i]
		at := slices.IndexFunc(s.Profiles, func(have Profile) bool { return have.Plan == p.Plan })
		if at < 0 {
			at = len(s.Profiles)
			s.Profiles = append(s.Profiles, Profile{})
		}
		s.Profiles[at].Add(p)
	}
}

// Add adds a profile of the same plan.
func (p *Profile) Add(o *Profile) {
	p.Plan, p.Name = o.Plan, o.Name
	p.Runs = sum(p.Runs, o.Runs)
	at := map[string]int{}
	for i := range p.Groups {
		at[p.Groups[i].key()] = i
	}
	for _, g := range o.Groups {
		i, ok := at[g.key()]
		if !ok {
			i = len(p.Groups)
			at[g.key()] = i
			p.Groups = append(p.Groups, GroupProfile{Kernel: g.Kernel, Steps: slices.Clone(g.Steps), Name: g.Name})
		}
		have := &p.Groups[i]
		have.Time = time.Duration(sum(int64(have.Time), int64(g.Time)))
		have.Count, have.Bytes = sum(have.Count, g.Count), sum(have.Bytes, g.Bytes)
	}
}

// sum adds what a worker may have said, which is not negative, and stays so.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func (g *GroupProfile) key() string { return fmt.Sprint(g.Kernel, g.Steps) }

// GroupName is what the given steps of a plan compute: their operators, with the
// shape of a weight that they read.
func GroupName(p *plan.Plan, steps []int) string {
	var b strings.Builder
	for i, s := range steps {
		if i > 0 {
			b.WriteByte('+')
		}
		b.WriteString(p.Steps[s].Op)
		for _, v := range p.Steps[s].In {
			if w := &p.Values[v]; w.Kind == plan.KindWeight && len(w.Spec.Shape) > 1 {
				fmt.Fprintf(&b, "%v", w.Spec.Shape)
			}
		}
	}
	return b.String()
}

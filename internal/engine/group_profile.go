package engine

import (
	"slices"
	"time"

	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
)

// programProfile is where the time of a session's profiled runs of a program
// went.
type programProfile struct {
	runs   int64
	groups []groupProfile // by group
	held   int64          // bytes that the session has paid for
}

// groupProfile is the runs of a group by its kernel, and those by the reference.
type groupProfile struct {
	kernel            string
	usual, referenced tally
}

type tally struct {
	time         time.Duration
	count, bytes int64
}

// groupProfileBytes is the memory of a group's profile, and of its time in a call.
const groupProfileBytes = 72

// Measure adds the times of the call's groups to the session's profile of the
// program, see [Session.Profile]. It is called before Run. A
// [transport.MemoryError] means that there is no room for the profile.
func (c *Call) Measure() error {
	if c.profile != nil {
		return nil
	}
	p := c.b.prog
	if c.profile = c.s.profileOf(p); c.profile != nil {
		return nil
	}
	n := int64(len(p.Groups)) * groupProfileBytes
	if err := c.s.charge(n, "the profile of a plan"); err != nil {
		return err
	}
	x := &programProfile{groups: make([]groupProfile, len(p.Groups)), held: n}
	if err := c.s.takeProfile(p, x); err != nil {
		c.s.uncharge(n)
		return err
	}
	c.profile = x
	return nil
}

func (s *Session) profileOf(p *Program) *programProfile {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.profiles[p]
}

// takeProfile stores the profile of a program that has none, for the running call.
func (s *Session) takeProfile(p *Program, x *programProfile) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	if s.profiles == nil {
		s.profiles = map[*Program]*programProfile{}
	}
	s.profiles[p] = x
	return nil
}

// addGroups adds the first n groups of a run to the session's profile.
func (c *Call) addGroups(n int) {
	if c.profile == nil {
		return
	}
	p, b := c.b.prog, c.b
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if n == len(p.Groups) || !c.parts.on { // portions are one run
		c.profile.runs++
	}
	for i := range n {
		g, kernel := &c.profile.groups[i], b.run.Kernel(i)
		t := &g.usual
		if transport.IsReference(kernel) {
			t = &g.referenced
		}
		if g.kernel == "" || t == &g.usual {
			g.kernel = kernel
		}
		cost := p.Cost(i, b.bound.Shape)
		t.time, t.count, t.bytes = t.time+c.times[i], t.count+1, t.bytes+int64(cost.Read+cost.Written)
	}
}

// Profile is the session's profile of a program; nil if no run was measured.
func (s *Session) Profile(p *Program) *transport.Profile {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.profiles[p]
	if have == nil {
		return nil
	}
	out := &transport.Profile{Plan: p.hash, Name: p.Plan().Name, Runs: have.runs}
	for i := range have.groups {
		g, steps := &have.groups[i], p.Groups[i].Computed(p.Res)
		add := func(kernel string, t tally) {
			if t.count > 0 {
				out.Groups = append(out.Groups, transport.GroupProfile{
					Kernel: kernel, Steps: steps, Name: transport.GroupName(p.Plan(), steps), Time: t.time, Count: t.count, Bytes: t.bytes,
				})
			}
		}
		add(g.kernel, g.usual)
		reference := "reference"
		if transport.IsReference(g.kernel) {
			reference = g.kernel
		}
		add(reference, g.referenced)
	}
	return out
}

// Profiles is the session's profiles, in the order of the plans' hashes.
func (s *Session) Profiles() (out []transport.Profile) {
	for _, p := range s.profiled() {
		if x := s.Profile(p); x != nil {
			out = append(out, *x)
		}
	}
	slices.SortFunc(out, func(a, b transport.Profile) int { return slices.Compare(a.Plan[:], b.Plan[:]) })
	return out
}

func (s *Session) profiled() (out []*Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.profiles {
		out = append(out, p)
	}
	return out
}

// dropProfile frees the profile of a program. The caller holds the session's lock.
func (s *Session) dropProfile(p *Program) {
	if have := s.profiles[p]; have != nil {
		delete(s.profiles, p)
		s.uncharge(have.held)
	}
}

// Kernels names what computed each group of the call's program when it last ran,
// and Bound is the program at the call's sizes: for tests of the choice of kernels.
func (c *Call) Kernels() []string {
	out := make([]string, len(c.b.prog.Groups))
	for i := range out {
		out[i] = c.b.run.Kernel(i)
	}
	return out
}

// Bound is the call's program at its sizes.
func (c *Call) Bound() (*program.Program, *program.Bound) { return c.b.prog.Program, c.b.bound }

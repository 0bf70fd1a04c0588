package route

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrFacts is facts of a worker that no worker can have.
var ErrFacts = errors.New("genie: facts of a worker that cannot be")

// Bounds of what is believed of a worker's facts.
const (
	MaxName    = 256     // bytes of an id, address, identity, zone or kernel path
	MaxMemory  = 1 << 50 // bytes
	MaxRuns    = 1 << 20 // sessions, running and waiting requests
	MaxSeconds = 1 << 20 // of a wait
	maxRate    = 1e19    // FLOP/s, B/s
)

// Worker is what is known of a worker: small facts that it can say anew at any time.
// No tensors, tokens, prompts or keys are among them.
type Worker struct {
	ID       string // of this process; another one after a restart
	Address  string // what a client dials: "tcp://host:port", "grpc://host:port"
	Identity string // whom its certificate names, when it has one
	Zone     string // workers of one zone reach each other over fast links; may be empty
	Path     string // kernels: "avx2", "avx512", "cuda"; results of two paths may differ in bits

	Speed Speed
	Load  Load
	Link  Link // from this client, as measured; the worker's own guess until then

	Memory int64 // bytes that sessions and weights may take in all
	Free   int64 // of these, free or taken by what can be dropped

	Weights  *Filter // weights that are resident
	Prefixes *Filter // prefixes whose state is held, see [Blocks]

	Draining bool // takes no new sessions; those it has move away
}

// Speed is what a worker computes, for a roofline: a step takes the longer of its
// arithmetic and its reading of weights.
type Speed struct {
	FLOPS float64 // FLOP/s of matrix products with many rows
	Read  float64 // B/s of weights and state
}

// Link is how values get from one end to the other.
type Link struct {
	Rate  float64       // B/s
	Delay time.Duration // one way
}

// Load is how busy a worker is.
type Load struct {
	Sessions, Running int
	Waiting           [Classes]int     // requests, by class
	Wait              [Classes]float64 // seconds until a new request of the class would start
}

// Requests is the number of requests, running and waiting.
func (l Load) Requests() int {
	n := l.Running
	for _, w := range l.Waiting {
		n += w
	}
	return n
}

// Check finds facts that cannot be; they are [ErrFacts]. What comes from a directory
// is checked before it enters a table.
func (w *Worker) Check() error {
	for name, s := range map[string]string{"id": w.ID, "address": w.Address, "identity": w.Identity, "zone": w.Zone, "path": w.Path} {
		if len(s) > MaxName {
			return fmt.Errorf("%w: %s of %d bytes", ErrFacts, name, len(s))
		}
		for _, r := range s {
			if r < 0x20 || r == 0x7f || r == '�' {
				return fmt.Errorf("%w: %s %q", ErrFacts, name, s)
			}
		}
	}
	switch {
	case w.ID == "" || w.Address == "":
		return fmt.Errorf("%w: no id or no address", ErrFacts)
	case !rate(w.Speed.FLOPS) || !rate(w.Speed.Read) || !rate(w.Link.Rate):
		return fmt.Errorf("%w: speed %+v, link %+v", ErrFacts, w.Speed, w.Link)
	case w.Link.Delay < 0 || w.Link.Delay > time.Hour:
		return fmt.Errorf("%w: delay %v", ErrFacts, w.Link.Delay)
	case w.Memory < 0 || w.Memory > MaxMemory || w.Free < 0 || w.Free > w.Memory:
		return fmt.Errorf("%w: %d bytes free of %d", ErrFacts, w.Free, w.Memory)
	}
	return w.Load.check()
}

func (l Load) check() error {
	counts := append([]int{l.Sessions, l.Running}, l.Waiting[:]...)
	for _, n := range counts {
		if n < 0 || n > MaxRuns {
			return fmt.Errorf("%w: load %+v", ErrFacts, l)
		}
	}
	for _, s := range l.Wait {
		if !(s >= 0 && s <= MaxSeconds) {
			return fmt.Errorf("%w: wait of %v s", ErrFacts, s)
		}
	}
	return nil
}

func rate(v float64) bool { return v >= 0 && v <= maxRate && !math.IsNaN(v) }

package simulation

import (
	"math"
	"math/bits"

	"github.com/genie-sdk/go/fleet/route"
)

// Parts of a power of two that a histogram tells apart: 1.6 percent of a time.
const (
	partBits = 6
	parts    = 1 << partBits
)

// histogram counts times in nanoseconds.
type histogram struct {
	counts []int64
	n      int64
	sum    float64
}

func bucket(v int64) int {
	if v < parts {
		return int(max(v, 0))
	}
	e := bits.Len64(uint64(v)) - 1 - partBits
	return e*parts + int(v>>e)
}

// middle is the time in the middle of a bucket.
func middle(b int) float64 {
	if b < 2*parts {
		return float64(b)
	}
	e := b/parts - 1
	return (float64(b-e*parts) + 0.5) * float64(int64(1)<<e)
}

func (h *histogram) add(v int64) {
	b := bucket(v)
	for len(h.counts) <= b {
		h.counts = append(h.counts, make([]int64, parts)...)
	}
	h.counts[b]++
	h.n++
	h.sum += float64(v)
}

// quantile is in seconds; 0 of nothing.
func (h *histogram) quantile(q float64) float64 {
	want := int64(math.Ceil(q * float64(h.n)))
	for b, n := range h.counts {
		if want -= n; want <= 0 && n > 0 {
			return middle(b) / 1e9
		}
	}
	return 0
}

// tenant is what one tenant got.
type tenant struct {
	tokens  int64
	seconds float64 // that its requests took
}

// stats counts.
type stats struct {
	requests, done, failed, lost, failures, moves int64
	tokens, answered                              int64 // generated; of requests that ended
	looked, reused, computed                      int64 // tokens of prompts
	prompts, answers, state, dropped              int64 // bytes
	busy                                          int64 // nanoseconds of all workers
	last                                          int64 // when the last request ended
	first                                         [route.Classes]histogram
	all, answer                                   histogram
	reasons                                       [16]int64
	tenants                                       []tenant
	events                                        int64
	err                                           error
}

// firstToken counts the time to the first token of a turn, once.
func (s *stats) firstToken(x *session, at int64) {
	if x.first {
		return
	}
	x.first = true
	s.first[x.group.class].add(at - x.sent)
	s.all.add(at - x.sent)
}

func (s *stats) finished(x *session, at int64) {
	s.done++
	s.answered += int64(x.asked)
	s.answers += 4 * int64(x.asked)
	s.answer.add(at - x.sent)
	s.last = max(s.last, at)
	t := &s.tenants[x.tenant]
	t.tokens += int64(x.asked)
	t.seconds += float64(at-x.sent) / 1e9
}

// fairness is the index of Jain, Chiu and Hawe (1984) of the tokens in a second
// that tenants got while they waited: 1 when all got the same, 1/n when one got
// all.
func (s *stats) fairness() float64 {
	n, sum, squares := 0.0, 0.0, 0.0
	for _, t := range s.tenants {
		if t.seconds > 0 {
			x := float64(t.tokens) / t.seconds
			n, sum, squares = n+1, sum+x, squares+x*x
		}
	}
	if squares == 0 {
		return 1
	}
	return sum * sum / (n * squares)
}

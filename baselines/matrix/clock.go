package matrix

import (
	"time"

	"github.com/genie-sdk/go/baselines/results"
)

// clock estimates the duration of a run: the average sample time of each case,
// plus an equal share of the remaining time for opening and closing.
type clock struct {
	began time.Time
	left  map[results.Key]int // samples to come
	spent map[results.Key]time.Duration
	taken map[results.Key]int
	total int
	done  int
}

func (c *clock) start(groups [][]Case, o Options) {
	*c = clock{
		began: time.Now(), left: map[results.Key]int{},
		spent: map[results.Key]time.Duration{}, taken: map[results.Key]int{},
	}
	for _, group := range groups {
		for _, benchCase := range group {
			k := results.ParseName(benchCase.Name())
			c.left[k] = max(samples(benchCase, o.Count)-o.Done[k], 0)
			c.total += c.left[k]
		}
	}
}

func (c *clock) sampled(k results.Key, took time.Duration) {
	c.left[k]--
	c.done++
	c.spent[k] += took
	c.taken[k]++
}

// drop removes a case's remaining samples from the sum.
func (c *clock) drop(k results.Key) {
	c.total -= c.left[k]
	c.left[k] = 0
}

// progress is the current state of the run.
func (c *clock) progress() Progress {
	p := Progress{Done: c.done, Total: c.total, Elapsed: time.Since(c.began)}
	if c.done == 0 {
		return p
	}
	var measured time.Duration
	for _, d := range c.spent {
		measured += d
	}
	average := measured / time.Duration(c.done)
	var left time.Duration
	for k, n := range c.left {
		each := average
		if c.taken[k] > 0 {
			each = c.spent[k] / time.Duration(c.taken[k])
		}
		left += time.Duration(n) * each
	}
	between := (p.Elapsed - measured) / time.Duration(c.done) // opening, verifying, closing
	p.Left = left + time.Duration(c.total-c.done)*between
	return p
}

package admission_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/admission"
)

// TestQueueBound fills a queue from many lines at random: it never holds more
// waiting requests than its limit, and a line without waiting requests finds
// room.
func TestQueueBound(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 6))
		most := 8 + rng.IntN(60)
		q := admission.NewQueue(most, nil)
		greedy := []*admission.Line{q.Line("a"), q.Line("a"), q.Line(""), q.Line("b")}
		var waiting, going []*admission.Place
		for range 3000 {
			if rng.IntN(3) > 0 {
				if p, retry := greedy[rng.IntN(len(greedy))].Join(); p != nil {
					require.Zero(t, retry)
					waiting = append(waiting, p)
				} else {
					require.Positive(t, retry)
				}
			}
			require.LessOrEqual(t, q.Waiting(), most)
			require.Equal(t, len(waiting), q.Waiting())
			newcomer := q.Line("")
			p, _ := newcomer.Join()
			require.NotNil(t, p, "there is always room for a line without waiting requests")
			p.End()
			newcomer.Close()
			if len(waiting) > 0 && rng.IntN(3) == 0 {
				i := rng.IntN(len(waiting))
				waiting[i].Begin()
				waiting[i].Begin()
				going = append(going, waiting[i])
				waiting = append(waiting[:i], waiting[i+1:]...)
			}
			if len(going) > 0 && rng.IntN(2) == 0 {
				going[0].End()
				going = going[1:]
			}
		}
		for _, p := range append(waiting, going...) {
			p.End()
		}
		require.Zero(t, q.Waiting())
	}
}

// TestHint measures two servers of 40 ms each and asks when there is room again.
func TestHint(t *testing.T) {
	now := time.Unix(1, 0)
	q := admission.NewQueue(16, func() time.Time { return now })
	l := q.Line("")
	defer l.Close()
	require.Equal(t, 100*time.Millisecond, q.Hint(5), "nothing has been measured")
	a, _ := l.Join()
	a.Begin()
	now = now.Add(40 * time.Millisecond)
	a.End()
	for range 2 {
		p, _ := l.Join()
		p.Begin()
		defer p.End()
	}
	var retry time.Duration
	n := 0
	for {
		var p *admission.Place
		if p, retry = l.Join(); p == nil {
			break
		}
		defer p.End()
		n++
	}
	require.Equal(t, 8, n, "half: the rest is for others")
	require.Equal(t, 8*40*time.Millisecond/2/2, retry)
	require.Equal(t, 3*40*time.Millisecond/2, q.Hint(3))
	require.Equal(t, time.Millisecond, q.Hint(0))
}

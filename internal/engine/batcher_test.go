package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// theatre runs batches that take a time by the clock of a bubble, and records
// the calls in each and when it began.
type theatre struct {
	r     *batcher
	begin time.Time
	took  time.Duration
	log   []string
}

func newTheatre(limit int, took time.Duration) *theatre {
	s := &theatre{begin: time.Now(), took: took}
	s.r = newBatcher(limit, func(calls []*batchCall) ([]*batchCall, bool) {
		var names []string
		for _, m := range calls {
			names = append(names, strconv.Itoa(m.at))
		}
		s.log = append(s.log, fmt.Sprintf("%v %s", time.Since(s.begin), strings.Join(names, "+")))
		<-time.After(s.took)
		return calls, true
	}, nil)
	return s
}

// actor is a call with a number.
func actor(n, rows int) *batchCall {
	return &batchCall{at: n, rows: rows, ctx: context.Background(), wake: make(chan struct{}, 1)}
}

const ms = time.Millisecond

// TestBatcher plays out which calls share a batch, and when. Each actor acts at
// the listed times: the time from its last turn's end, or from the start, to
// the next.
func TestBatcher(t *testing.T) {
	const took = 100 * ms
	for _, c := range []struct {
		name   string
		limit  int
		rows   []int // 1 each where nil
		pauses [][]time.Duration
		want   []string
	}{
		{
			name: "alone, never waits", limit: 8,
			pauses: [][]time.Duration{{0, 1 * ms, 1 * ms, 0}},
			want:   []string{"0s 0", "101ms 0", "202ms 0", "302ms 0"},
		},
		{
			name: "a call that arrives during a batch is in the next", limit: 8,
			pauses: [][]time.Duration{{0}, {10 * ms}, {90 * ms}, {101 * ms}},
			want:   []string{"0s 0", "100ms 1+2", "200ms 3"},
		},
		{
			name: "a call that returned quickly is waited for", limit: 8,
			pauses: [][]time.Duration{{0, 2 * ms, 2 * ms, 2 * ms}, {10 * ms, 20 * ms, 20 * ms}},
			// Nothing is known of either until it has returned once.
			want: []string{"0s 0", "100ms 1", "200ms 0", "302ms 1+0", "422ms 0+1"},
		},
		{
			name: "a call that returns late is not waited for", limit: 8,
			pauses: [][]time.Duration{{0, 30 * ms, 30 * ms, 30 * ms}, {10 * ms, 40 * ms, 40 * ms}},
			want:   []string{"0s 0", "100ms 1", "200ms 0", "300ms 1", "400ms 0", "500ms 1", "600ms 0"},
		},
		{
			name: "a call that does not return is waited for once, and for little longer than its last delay", limit: 8,
			pauses: [][]time.Duration{{0, 1 * ms, 4 * ms}, {150 * ms, 4 * ms, 2 * ms, 2 * ms, 2 * ms}},
			// 1.5 times 1 ms and 50 us, and then of 4 ms.
			want: []string{"0s 0", "101ms 0", "202.55ms 1", "302.55ms 0", "408.6ms 1", "510.6ms 1", "612.6ms 1", "714.6ms 1"},
		},
		{
			name: "batches have a limit, and turns their order", limit: 2,
			pauses: [][]time.Duration{{0}, {1 * ms}, {2 * ms}, {3 * ms}, {4 * ms}, {5 * ms}},
			want:   []string{"0s 0", "100ms 1+2", "200ms 3+4", "300ms 5"},
		},
		{
			name: "no call overtakes", limit: 4, rows: []int{1, 2, 1, 2, 1},
			pauses: [][]time.Duration{{0}, {1 * ms}, {2 * ms}, {3 * ms}, {4 * ms}},
			want:   []string{"0s 0", "100ms 1+2", "200ms 3+4"},
		},
		{
			name: "a full batch does not wait", limit: 2,
			pauses: [][]time.Duration{{0, 1 * ms, 1 * ms}, {5 * ms, 1 * ms}, {6 * ms, 2 * ms}},
			want:   []string{"0s 0", "100ms 1+2", "200ms 0", "300ms 1+2", "403.05ms 0"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTheatre(c.limit, took)
				for i, pauses := range c.pauses {
					m := actor(i, 1)
					if c.rows != nil {
						m.rows = c.rows[i]
					}
					go func() {
						for _, p := range pauses {
							<-time.After(p)
							s.r.do(m)
						}
					}()
				}
				<-time.After(time.Hour)
				synctest.Wait()
				require.Equal(t, c.want, s.log)
				require.False(t, s.r.busy)
				require.Empty(t, s.r.waiting)
				require.Zero(t, s.r.rows)
			})
		})
	}
}

// TestBatcherCancelled withdraws calls that wait, and one that gathers.
func TestBatcherCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTheatre(8, 100*ms)
		enough := errors.New("enough")
		calls := []*batchCall{actor(0, 1), actor(1, 1), actor(2, 1)}
		act := func(i int, ctx context.Context, wait time.Duration) *time.Duration {
			took := new(time.Duration)
			m := calls[i]
			go func() {
				<-time.After(wait)
				start := time.Now()
				m.ctx, m.err = ctx, nil
				s.r.do(m)
				*took = time.Since(start)
			}()
			return took
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		bg := context.Background()
		act(0, bg, 0)
		waited := act(1, ctx, 10*ms)
		act(2, bg, 20*ms)
		<-time.After(50 * ms)
		cancel(enough)
		synctest.Wait()
		require.Equal(t, 40*ms, *waited, "it does not wait for the end of the batch")
		require.ErrorIs(t, calls[1].err, enough)
		<-time.After(250 * ms) // now 300ms: nothing runs
		synctest.Wait()
		require.Equal(t, []string{"0s 0", "100ms 2"}, s.log)

		// 1 gathers while 2 is due, and 0 waits with it.
		s.log = nil
		s.r.mu.Lock()
		calls[2].dueIn, s.r.due, s.r.until = s.r.ended, 1, time.Now().Add(30*ms)
		s.r.mu.Unlock()
		ctx, cancel = context.WithCancelCause(bg)
		begin := time.Now()
		gathers := act(1, ctx, 0)
		act(0, bg, ms)
		<-time.After(5 * ms)
		synctest.Wait()
		require.Empty(t, s.log)
		cancel(enough)
		synctest.Wait()
		require.Equal(t, 5*ms, *gathers)
		require.ErrorIs(t, calls[1].err, enough)
		<-time.After(time.Hour)
		synctest.Wait()
		require.Len(t, s.log, 1)
		require.Equal(t, fmt.Sprintf("%v 0", begin.Add(30*ms).Sub(s.begin)), s.log[0], "the next in turn gathers on")
		require.NoError(t, calls[0].err)
	})
}

// TestBatcherAtRandom verifies that every call runs once, in a batch within the
// limit, and that batches do not overlap.
func TestBatcherAtRandom(t *testing.T) {
	const actors, turns, limit = 9, 200, 5
	running, ran := 0, 0
	r := newBatcher(limit, func(calls []*batchCall) ([]*batchCall, bool) {
		if running++; running != 1 {
			t.Error("two concurrent batches")
		}
		rows := 0
		for _, m := range calls {
			rows += m.rows
			m.err = nil
			ran++
		}
		if rows > limit || len(calls) == 0 {
			t.Errorf("a batch of %d rows", rows)
		}
		running--
		return calls, true
	}, nil)
	errs := make(chan []error, actors)
	for i := range actors {
		m := actor(i, 1+i%2)
		go func() {
			var got []error
			for range turns {
				m.err = errors.New("did not run")
				r.do(m)
				got = append(got, m.err)
			}
			errs <- got
		}()
	}
	for range actors {
		require.Equal(t, make([]error, turns), <-errs)
	}
	require.Equal(t, actors*turns, ran)
	require.False(t, r.busy)
	require.False(t, slices.ContainsFunc(r.waiting, func(*batchCall) bool { return true }))
}

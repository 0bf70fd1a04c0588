package link

import (
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	us = time.Microsecond
	ms = time.Millisecond
)

func named(t testing.TB, name string) Profile {
	t.Helper()
	p, err := Parse(name)
	require.NoError(t, err)
	return p
}

// TestOneWay holds the arrival of the last byte against numbers worked out by
// hand: (n-4096)*8/rate + rtt/2, and never less than rtt/2.
func TestOneWay(t *testing.T) {
	for _, tt := range []struct {
		profile string
		n       int
		want    time.Duration
	}{
		{"dc-10g-100us", 1, 50 * us},
		{"dc-10g-100us", 4096, 50 * us},
		{"dc-10g-100us", 1 << 20, 50*us + 835584*time.Nanosecond},
		{"lan-1g-500us", 100, 250 * us},
		{"lan-1g-500us", 5096, 258 * us},
		{"lan-1g-500us", 1 << 20, 250*us + 8355840*time.Nanosecond},
		{"wan-100m-20ms", 4096, 10 * ms},
		{"wan-100m-20ms", 16596, 11 * ms},
		{"wan-100m-20ms", 16 << 20, 10*ms + 1341849600*time.Nanosecond},
		{"8k-0s", 5096, time.Second},
		{"8k-1s", 4106, 510 * ms},
	} {
		t.Run(tt.profile, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := named(t, tt.profile)
				c, w := virtual(p, 1).pair()
				start := time.Now()
				go func() {
					_, _ = c.Write(make([]byte, tt.n))
					_ = c.Close()
				}()
				all, err := arrivals(w, start)
				require.NoError(t, err)
				require.Equal(t, arrival{tt.want, tt.n}, all[len(all)-1])
				require.Equal(t, tt.want, p.OneWay(tt.n))
				finish(w)
			})
		})
	}
}

// TestRoundTrip is a request and an answer, one after the other.
func TestRoundTrip(t *testing.T) {
	for _, name := range Names()[1:] {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := named(t, name)
				c, w := virtual(p, 1).pair()
				var far sync.WaitGroup
				far.Go(func() { echo(w) })
				b := make([]byte, 64)
				for range 20 {
					start := time.Now()
					_, err := c.Write(b)
					require.NoError(t, err)
					require.Zero(t, time.Since(start), "a write does not wait for its delivery")
					_, err = c.Read(b)
					require.NoError(t, err)
					require.Equal(t, p.RTT, time.Since(start))
				}
				finish(c)
				far.Wait()
			})
		})
	}
}

func echo(c net.Conn) {
	defer finish(c)
	b := make([]byte, 1<<16)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

// TestDelayDoesNotBound verifies that a link reaches its rate with any delay,
// that arrivals follow the rate throughout, and that writers wait.
func TestDelayDoesNotBound(t *testing.T) {
	for _, name := range []string{"1g-0s", "1g-40ms", "10g-40ms", "100m-2s", "1g-40ms-j1ms"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 64 << 20
				p := named(t, name)
				c, w := virtual(p, 1).pair()
				start := time.Now()
				var wrote time.Duration
				go func() {
					for range n >> 16 {
						_, _ = c.Write(make([]byte, 1<<16))
					}
					wrote = time.Since(start)
					_ = c.Close()
				}()
				all, err := arrivals(w, start)
				require.NoError(t, err)
				require.Equal(t, n, all[len(all)-1].n)
				for _, a := range all {
					// Not one byte before its time.
					require.GreaterOrEqual(t, a.at, p.OneWay(a.n))
				}
				require.LessOrEqual(t, all[len(all)-1].at, p.OneWay(n)+p.Jitter)
				// The last write waited until the queue had room for it.
				require.GreaterOrEqual(t, wrote, p.OneWay(n-p.queue())-p.RTT/2)
				finish(w)
			})
		})
	}
}

func TestNoRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := virtual(Profile{RTT: 6 * ms}, 1).pair()
		start := time.Now()
		_, err := c.Write(make([]byte, 1<<20))
		require.NoError(t, err)
		require.NoError(t, c.Close())
		all, err := arrivals(w, start)
		require.NoError(t, err)
		require.Equal(t, []arrival{{3 * ms, 1 << 20}}, all)
		finish(w)
	})
}

// TestBurst spends a part of the bucket, waits for a part to come back, and
// spends that.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Profile{Rate: 8e6, Burst: 10_000} // a byte a microsecond
		c, w := virtual(p, 1).pair()
		start := time.Now()
		at := make(chan []arrival, 1)
		go func() {
			all, _ := arrivals(w, start)
			at <- all
		}()
		write := func(n int) {
			_, err := c.Write(make([]byte, n))
			require.NoError(t, err)
			synctest.Wait()
		}
		write(10_000) // all of it: at once
		write(1000)   // empty: 1000 us
		<-time.After(5 * ms)
		write(4000) // 4000 are back: at once
		write(1000)
		<-time.After(time.Second)
		write(10_000) // full, and no more than that
		write(500)
		require.NoError(t, c.Close())
		got := <-at
		require.Equal(t, []arrival{
			{0, 10_000}, {1 * ms, 11_000}, {5 * ms, 15_000}, {6 * ms, 16_000}, {1005 * ms, 26_000}, {1005*ms + 500*us, 26_500},
		}, got)
		finish(w)
	})
}

// TestShared sends over three connections at once: they share one direction
// fairly, and the other direction is not disturbed.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 4 << 20
		p := named(t, "100m-10ms")
		l := virtual(p, 1)
		start := time.Now()
		var mu sync.Mutex
		var ends []time.Duration
		middle := map[int]int{}
		var wg sync.WaitGroup
		for i := range 3 {
			c, w := l.pair()
			wg.Go(func() {
				_, _ = c.Write(make([]byte, n))
				_ = c.Close()
			})
			wg.Go(func() {
				all, _ := arrivals(w, start)
				finish(w)
				mu.Lock()
				defer mu.Unlock()
				ends = append(ends, all[len(all)-1].at)
				for _, a := range all {
					if a.at <= p.OneWay(3*n)/2 {
						middle[i] = a.n
					}
				}
			})
		}
		c, w := l.pair()
		wg.Go(func() {
			_, _ = w.Write(make([]byte, n))
			_ = w.Close()
		})
		all, err := arrivals(c, start)
		require.NoError(t, err)
		require.Equal(t, arrival{p.OneWay(n), n}, all[len(all)-1])
		finish(c)
		wg.Wait()

		slices.Sort(ends)
		require.Equal(t, p.OneWay(3*n), ends[2], "the link is never idle")
		for i := range 3 {
			require.InDelta(t, n/2, middle[i], 0.05*n, "connection %d has had half of its bytes at half-time", i)
		}
		up, down := l.Counters()
		require.Equal(t, int64(3*n), up.Delivered)
		require.Equal(t, int64(3*n), up.Written)
		require.Equal(t, int64(n), down.Delivered)
		require.Equal(t, int64(4), up.Conns)
		require.Zero(t, up.MaxLate, "virtual time is never late")
	})
}

// TestNewcomer is a small message beside a bulk transfer: it waits for what has
// been let through, not for the whole queue of the other.
func TestNewcomer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := named(t, "100m-20ms")
		l := virtual(p, 1)
		bulk, sink := l.pair()
		go func() {
			_, _ = bulk.Write(make([]byte, 1<<20)) // 84 ms
			_ = bulk.Close()
		}()
		var far sync.WaitGroup
		far.Go(func() {
			_, _ = arrivals(sink, time.Now())
			finish(sink)
		})
		<-time.After(20 * ms)
		c, w := l.pair()
		start := time.Now()
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, c.Close())
		all, err := arrivals(w, start)
		require.NoError(t, err)
		require.LessOrEqual(t, all[0].at, p.RTT/2+ahead+2*p.serialise(uint64(p.segment())))
		require.Greater(t, all[0].at, p.RTT/2)
		finish(w)
		far.Wait()
	})
}

func TestJitter(t *testing.T) {
	p := named(t, "1g-10ms-j4ms")
	run := func(seed uint64) (all []arrival) {
		synctest.Test(t, func(t *testing.T) {
			c, w := virtual(p, seed).pair()
			start := time.Now()
			go func() {
				for range 200 {
					_, _ = c.Write([]byte{1})
					<-time.After(10 * ms)
				}
				_ = c.Close()
			}()
			var err error
			all, err = arrivals(w, start)
			require.NoError(t, err)
			finish(w)
		})
		return all
	}
	first := run(1)
	require.Len(t, first, 200)
	least, most, sum := time.Hour, time.Duration(0), time.Duration(0)
	for i, a := range first {
		d := a.at - time.Duration(i)*10*ms - 5*ms
		least, most, sum = min(least, d), max(most, d), sum+d
	}
	require.GreaterOrEqual(t, least, time.Duration(0))
	require.LessOrEqual(t, most, 4*ms)
	require.Greater(t, most-least, 3*ms)
	require.InDelta(t, 2, (sum/200).Seconds()*1e3, 0.3)
	require.Equal(t, first, run(1))
	require.NotEqual(t, first, run(2))
}

package link

import (
	"context"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sockets is a connection over l between two sockets of this machine.
func sockets(t testing.TB, l *Link) (client, worker net.Conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener := l.Listener(inner)
	defer func() { require.NoError(t, listener.Close()) }()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- c
	}()
	client, err = l.Dialer(nil)(t.Context(), listener.Addr().String())
	require.NoError(t, err)
	worker = <-accepted
	require.NotNil(t, worker)
	return client, worker
}

// roundTrips is the median and the least of n small round trips.
func roundTrips(t testing.TB, l *Link, n int) (median, least time.Duration) {
	c, w := sockets(t, l)
	var far sync.WaitGroup
	far.Go(func() { echo(w) })
	took := make([]time.Duration, n)
	b := make([]byte, 64)
	for i := range took {
		start := time.Now()
		_, err := c.Write(b)
		require.NoError(t, err)
		_, err = io.ReadFull(c, b)
		require.NoError(t, err)
		took[i] = time.Since(start)
	}
	finish(c)
	far.Wait()
	slices.Sort(took)
	return took[n/2], took[0]
}

// transfer is the time until the last of n bytes arrives.
func transfer(t testing.TB, l *Link, n int) time.Duration {
	c, w := sockets(t, l)
	start := time.Now()
	var near sync.WaitGroup
	near.Go(func() {
		b := make([]byte, 256<<10)
		for left := n; left > 0; left -= len(b) {
			if len(b) > left {
				b = b[:left]
			}
			if _, err := c.Write(b); err != nil {
				return
			}
		}
		_ = c.(closeWriter).CloseWrite()
	})
	b := make([]byte, 1<<20)
	got := 0
	for {
		k, err := w.Read(b)
		got += k
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
	}
	took := time.Since(start)
	near.Wait()
	require.Equal(t, n, got)
	finish(c, w)
	return took
}

// TestSockets holds real time to what cannot depend on how busy the machine is:
// nothing is early. How late it may be is TestAccuracy's.
func TestSockets(t *testing.T) {
	for _, tt := range []struct {
		profile string
		trips   int
		bytes   int
	}{
		{"dc-10g-100us", 50, 16 << 20},
		{"lan-1g-500us", 50, 2 << 20},
		{"wan-100m-20ms", 3, 256 << 10},
		{"1g-4ms-j1ms", 5, 1 << 20},
	} {
		t.Run(tt.profile, func(t *testing.T) {
			p := named(t, tt.profile)
			median, least := roundTrips(t, New(p, 1), tt.trips)
			require.GreaterOrEqual(t, least, p.RTT)
			require.Less(t, median, p.RTT+p.Jitter*2+time.Second)
			l := New(p, 1)
			require.GreaterOrEqual(t, transfer(t, l, tt.bytes), p.OneWay(tt.bytes))
			up, down := l.Counters()
			require.Equal(t, int64(tt.bytes), up.Delivered)
			require.Zero(t, down.Written)
		})
	}
}

// TestAccuracy needs an otherwise idle machine: GENIE_LINK=1.
func TestAccuracy(t *testing.T) {
	if os.Getenv("GENIE_LINK") == "" {
		t.Skip("timing of a quiet machine; set GENIE_LINK=1")
	}
	for _, tt := range []struct {
		profile string
		trips   int
		bytes   int
	}{
		{"dc-10g-100us", 2000, 256 << 20},
		{"lan-1g-500us", 1000, 64 << 20},
		{"wan-100m-20ms", 50, 8 << 20},
		{"1g-40ms", 20, 64 << 20},
	} {
		t.Run(tt.profile, func(t *testing.T) {
			p := named(t, tt.profile)
			l := New(p, 1)
			median, least := roundTrips(t, l, tt.trips)
			up, _ := l.Counters()
			t.Logf("round trip: %v median, %v least; a delivery was %v late in the mean, %v at most",
				median, least, up.Late/time.Duration(up.Deliveries), up.MaxLate)
			require.LessOrEqual(t, median, p.RTT+p.RTT/10+100*us)

			limit := named(t, "1t-100us")
			best, possible := time.Hour, time.Hour
			for range 4 {
				best = min(best, transfer(t, New(p, 1), tt.bytes)-p.RTT/2)
				possible = min(possible, transfer(t, New(limit, 1), tt.bytes))
			}
			rate := func(d time.Duration) float64 { return float64(tt.bytes) * 8 / d.Seconds() }
			t.Logf("throughput: %.3f Gbit/s of %.3f; the shaper without a bound: %.3f",
				rate(best)/1e9, float64(p.Rate)/1e9, rate(possible)/1e9)
			if rate(possible) < 1.2*float64(p.Rate) {
				t.Skip("this machine does not carry the rate now")
			}
			require.InEpsilon(t, float64(p.Rate), rate(best), 0.05)
		})
	}
}

func TestLoopbackPasses(t *testing.T) {
	l := New(Loopback(), 1)
	c, w := sockets(t, l)
	_, err := c.Write([]byte("ab"))
	require.NoError(t, err)
	n, err := c.(interface {
		WriteBuffers(v *net.Buffers) (int64, error)
	}).WriteBuffers(&net.Buffers{[]byte("cd"), []byte("ef")})
	require.NoError(t, err)
	require.EqualValues(t, 4, n)
	require.NoError(t, c.(closeWriter).CloseWrite())
	got, err := io.ReadAll(w)
	require.NoError(t, err)
	require.Equal(t, "abcdef", string(got))
	up, down := l.Counters()
	require.Equal(t, Counters{Conns: 1, Written: 6, Delivered: 6}, up)
	require.Equal(t, Counters{Conns: 1}, down)
	finish(c, w)
}

// target is a server that answers everything with itself, for a test.
func target(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { echoAll(c) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		serving.Wait()
	})
	return l.Addr().String()
}

func echoAll(c net.Conn) {
	_, _ = io.Copy(c, c)
	_ = c.Close()
}

func TestProxy(t *testing.T) {
	to := target(t)
	for _, profile := range []string{"loopback", "lan-1g-500us", "1g-10ms-j1ms"} {
		t.Run(profile, func(t *testing.T) {
			p := named(t, profile)
			l := New(p, 1)
			proxy, err := l.Proxy(t.Context(), "127.0.0.1:0", to)
			require.NoError(t, err)
			const each = 1 << 20
			var clients sync.WaitGroup
			for i := range 3 {
				clients.Go(func() {
					start := time.Now()
					c, err := net.Dial("tcp", proxy.Addr().String())
					if err != nil {
						t.Error(err)
						return
					}
					defer func() { _ = c.Close() }()
					sent := make([]byte, each)
					for j := range sent {
						sent[j] = byte(j * (i + 3))
					}
					go func() {
						_, _ = c.Write(sent)
						_ = c.(*net.TCPConn).CloseWrite()
					}()
					got, err := io.ReadAll(c)
					if err != nil || !slices.Equal(sent, got) {
						t.Errorf("%d bytes of %d came back: %v", len(got), each, err)
					}
					if took := time.Since(start); took < 2*p.RTT {
						t.Errorf("opened, asked and answered in %v", took)
					}
				})
			}
			clients.Wait()
			require.NoError(t, proxy.Close())
			up, down := l.Counters()
			require.EqualValues(t, 3*each, up.Delivered)
			require.EqualValues(t, 3*each, down.Delivered)
			_, err = net.Dial("tcp", proxy.Addr().String())
			require.Error(t, err)
		})
	}
}

// TestProxyEnds ends a proxy with connections of every kind: idle, busy, full.
func TestProxyEnds(t *testing.T) {
	to := target(t)
	for _, profile := range []string{"loopback", "1m-2s"} {
		for name, end := range map[string]func(cancel context.CancelFunc, p *Proxy){
			"Close":   func(_ context.CancelFunc, p *Proxy) { _ = p.Close() },
			"context": func(cancel context.CancelFunc, p *Proxy) { cancel(); p.running.Wait() },
		} {
			t.Run(profile+"/"+name, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				proxy, err := New(named(t, profile), 1).Proxy(ctx, "127.0.0.1:0", to)
				require.NoError(t, err)
				idle, err := net.Dial("tcp", proxy.Addr().String())
				require.NoError(t, err)
				busy, err := net.Dial("tcp", proxy.Addr().String())
				require.NoError(t, err)
				_, err = busy.Write(make([]byte, 200<<10))
				require.NoError(t, err)
				start := time.Now()
				end(cancel, proxy)
				require.Less(t, time.Since(start), time.Second)
				for _, c := range []net.Conn{idle, busy} {
					_, err = io.Copy(io.Discard, c)
					if err != nil { // a reset is an end too
						require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
					}
					require.NoError(t, c.Close())
				}
			})
		}
	}
}

func TestProxyWithoutTarget(t *testing.T) {
	proxy, err := New(named(t, "1g-1ms"), 1).Proxy(t.Context(), "127.0.0.1:0", "127.0.0.1:1")
	require.NoError(t, err)
	c, err := net.Dial("tcp", proxy.Addr().String())
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, proxy.Close())
	_, err = New(Loopback(), 1).Proxy(t.Context(), "nowhere:x", "127.0.0.1:1")
	require.Error(t, err)
}

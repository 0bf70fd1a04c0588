package worker_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// soakEnv is the duration of the soak; without it the short form runs.
const soakEnv = "GENIE_SOAK"

const soakShort = 2 * time.Second

// TestSoak is a worker process whose clients come and go for a while:
// goroutines of this process and other processes, over TCP and over gRPC. They
// generate, step, cancel, stop early, stall, make mistakes, leave without a
// word, have their writes reset, and die by kill -9. Some have sessions with a
// key, which they resume from connection to connection or let expire, and some
// generate with package genie, which recovers from all of it. Every token is
// checked against a reference computed here. At the end the worker holds what
// it held before; over a longer time (GENIE_SOAK=10m) its memory must not grow
// either.
func TestSoak(t *testing.T) {
	duration := soakShort
	if text := os.Getenv(soakEnv); text != "" {
		var err error
		duration, err = time.ParseDuration(text)
		require.NoError(t, err, soakEnv)
	}
	want, err := soakReference(t.Context())
	require.NoError(t, err)
	w := startProcess(t, "worker", "")
	var before soakState
	w.read(t, &before)
	s := &soak{t: t, worker: w, addrs: map[string]string{"tcp": before.TCP, "grpc": before.GRPC}, want: want}
	s.model, s.texts, err = soakModel(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.model.Close()) }()
	s.warm()
	base := s.quiet(before)
	_, s.descriptors = w.resident()
	s.start(duration)
	s.watch(duration)
	s.finish()
	after := s.quiet(base)
	descriptors := s.closed()
	t.Log(s.table(duration, base, after, descriptors))
	s.judge(duration, base, after, descriptors)
	_ = w.in.Close()
	require.NoError(t, w.cmd.Wait())
}

// soak is one such test.
type soak struct {
	t      *testing.T
	worker *process
	addrs  map[string]string
	want   [][]int32
	model  *gpt2.Model
	texts  [][][]int

	stop      chan struct{}
	clients   []*soakClient
	working   sync.WaitGroup
	mu        sync.Mutex
	processes soakFigures // of processes that have ended
	deaths    int

	took        time.Duration
	samples     []soakSample
	descriptors int64 // at the start
}

// soakSample is the worker at one moment.
type soakSample struct {
	at          time.Duration
	rss         int64
	descriptors int64
}

// warm uses the worker once in every way, so that what it retains permanently
// (plan, weights, scratch, its threads) exists before anything is compared.
func (s *soak) warm() {
	for how, addr := range s.addrs {
		c := &soakClient{how: how, addr: addr, want: s.want, rng: rand.New(rand.NewPCG(1, 1))}
		ex, _, err := c.dial(context.Background(), -1)
		require.NoError(s.t, err)
		require.NoError(s.t, c.connected(context.Background(), ex, nil))
		require.NoError(s.t, ex.Close())
		require.Empty(s.t, c.fig.Unexpected)
		writer, err := genie.Open(context.Background(), how+"://"+addr)
		require.NoError(s.t, err)
		for prompt := range soakPrompts {
			out, err := soakWrite(context.Background(), writer, s.model, prompt)
			require.NoError(s.t, err)
			require.Equal(s.t, s.texts[prompt], out.Tokens)
		}
		require.NoError(s.t, writer.Close())
	}
}

// quiet waits until no client is connected any more and the worker has as few
// goroutines as before.
func (s *soak) quiet(before soakState) (now soakState) {
	require.Eventually(s.t, func() bool {
		now = s.worker.state(s.t)
		return now.Sessions == 0 && now.State == 0 && now.Staged == 0 && now.Goroutines <= before.Goroutines+2
	}, patience, 20*time.Millisecond, "the worker does not come to rest: %+v", &now)
	return now
}

// start starts the clients: goroutines here, and processes that are killed and
// started again.
func (s *soak) start(duration time.Duration) {
	s.stop = make(chan struct{})
	goroutines, processes, life := 4, 1, 500*time.Millisecond
	if duration > time.Minute {
		goroutines, processes, life = 8, 2, 3*time.Second
	}
	for how, addr := range s.addrs {
		for i := range goroutines {
			c := &soakClient{how: how, addr: addr, want: s.want, rng: rand.New(rand.NewPCG(uint64(i), 9))}
			s.clients = append(s.clients, c)
			s.working.Go(func() { c.work(s.stop) })
		}
		w := &soakWriter{
			soakClient: soakClient{how: how + " genie", rng: rand.New(rand.NewPCG(4, 9))},
			url:        how + "://" + addr, model: s.model, texts: s.texts,
		}
		s.clients = append(s.clients, &w.soakClient)
		s.working.Go(func() { w.work(s.stop) })
		for i := range processes {
			s.working.Go(func() { s.live(fmt.Sprint(how, " ", addr, " ", i), life, rand.New(rand.NewPCG(uint64(i), 3))) })
		}
	}
}

// live is a client process, and another one when it has died.
func (s *soak) live(args string, life time.Duration, rng *rand.Rand) {
	for {
		p := startProcess(s.t, "client", args)
		timer := time.NewTimer(life/2 + time.Duration(rng.Int64N(int64(life))))
		kill := true
		select {
		case <-timer.C:
		case <-s.stop:
			kill = false
		}
		timer.Stop()
		figures, err := p.end(kill)
		s.mu.Lock()
		s.processes.add(&figures)
		if kill {
			s.deaths++
		} else if err != nil {
			s.processes.Unexpected = append(s.processes.Unexpected, "a client process: "+err.Error())
		}
		s.mu.Unlock()
		if !kill {
			return
		}
	}
}

// enough reports whether everything has happened that the test is about.
func (s *soak) enough() bool {
	all := s.total()
	s.mu.Lock()
	defer s.mu.Unlock()
	return all.Texts > 0 && all.Cancels > 0 && all.Cuts > 0 && all.Rejoins > 0 && all.Lapses > 0 && all.Written > 0 && all.Rebuilt > 0 && s.deaths > 0
}

// watch samples the worker until the time is over, and for as long as not
// everything has happened, which on a busy machine takes longer than the short
// form's time.
func (s *soak) watch(duration time.Duration) {
	tick := time.NewTicker(max(duration/300, 20*time.Millisecond))
	defer tick.Stop()
	start := time.Now()
	for now := range tick.C {
		rss, n := s.worker.resident()
		s.took = now.Sub(start)
		s.samples = append(s.samples, soakSample{s.took, rss, n})
		if s.took >= duration && (s.enough() || s.took > duration+patience) {
			return
		}
	}
}

// finish ends the clients.
func (s *soak) finish() {
	close(s.stop)
	s.working.Wait()
}

// total is what all clients did.
func (s *soak) total() soakFigures {
	all := soakFigures{}
	s.mu.Lock()
	all.add(&s.processes)
	s.mu.Unlock()
	for _, c := range s.clients {
		f := c.snapshot()
		all.add(&f)
	}
	return all
}

// closed is the number of the worker's descriptors when the last connections have
// been closed: a socket goes a moment after the goroutines that served it.
func (s *soak) closed() (descriptors int64) {
	for end := time.Now().Add(20 * time.Second); ; {
		_, descriptors = s.worker.resident()
		if descriptors <= s.descriptors || time.Now().After(end) {
			return descriptors
		}
		<-time.After(10 * time.Millisecond)
	}
}

// slope is by how much the worker's memory grows in an hour, in bytes, by least
// squares over the samples after the first third; and the largest deviation of
// a sample from their mean.
func (s *soak) slope() (perHour, spread float64) {
	late := s.samples[len(s.samples)/3:]
	n, st, sm, stt, stm := float64(len(late)), 0.0, 0.0, 0.0, 0.0
	for _, x := range late {
		t, m := x.at.Hours(), float64(x.rss)
		st, sm, stt, stm = st+t, sm+m, stt+t*t, stm+t*m
	}
	for _, x := range late {
		spread = max(spread, float64(x.rss)-sm/n, sm/n-float64(x.rss))
	}
	return (n*stm - st*sm) / (n*stt - st*st), spread
}

// What memory may do: soakGrowth is what a warmed worker may take on over the
// whole time by the line through its samples, whatever the time.
const soakGrowth = 16 << 20

// gap is the longest time between two samples.
func (s *soak) gap() (longest time.Duration) {
	last := time.Duration(0)
	for _, x := range s.samples {
		longest, last = max(longest, x.at-last), x.at
	}
	return longest
}

func (s *soak) judge(duration time.Duration, base, after soakState, descriptors int64) {
	all := s.total()
	// A machine that rests lets time limits run out between peers that both
	// rest; the samples then show a gap. The lease is the shortest of them.
	const rest, late = 5 * time.Second, "deadline exceeded"
	require.Empty(s.t, slices.DeleteFunc(slices.Clone(all.Unexpected), func(e string) bool {
		return s.gap() > rest && strings.Contains(e, late) || s.gap() > soakLease/2 && strings.Contains(e, transport.ErrSessionLost.Error())
	}))
	require.Zero(s.t, all.Wrong, "wrong tokens")
	require.NotContains(s.t, all.Errors, "untyped")
	require.Positive(s.t, all.Tokens)
	require.Positive(s.t, all.Texts)
	require.Positive(s.t, all.Cancels)
	require.Positive(s.t, all.Cuts)
	require.Positive(s.t, all.Rejoins)
	require.Positive(s.t, all.Lapses)
	require.Positive(s.t, all.Written)
	require.Positive(s.t, all.Rebuilt)
	require.Positive(s.t, s.deaths)
	require.LessOrEqual(s.t, after.Goroutines, base.Goroutines+2)
	require.Equal(s.t, base.WeightBytes, after.WeightBytes)
	require.Equal(s.t, base.Plans, after.Plans)
	require.LessOrEqual(s.t, descriptors, s.descriptors)
	if duration < time.Minute || s.samples[0].rss == 0 {
		return // too short for a line, or a system that does not tell
	}
	perHour, _ := s.slope()
	require.Less(s.t, perHour*duration.Hours(), float64(soakGrowth), "the worker's memory grows")
}

// table is the figures, for people.
func (s *soak) table(duration time.Duration, base, after soakState, descriptors int64) string {
	var b strings.Builder
	all := s.total()
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-38s "+format+"\n", append([]any{name}, args...)...)
	}
	row("\nsoak", "%v of %v", s.took.Round(time.Second), duration)
	row("longest gap between samples", "%v", s.gap().Round(10*time.Millisecond))
	row("requests", "%d", all.Requests)
	row("tokens checked, wrong", "%d, %d", all.Tokens, all.Wrong)
	row("texts, cancelled, stalled", "%d, %d, %d", all.Texts, all.Cancels, all.Stalls)
	row("connections left, reset", "%d, %d", all.Reopens, all.Cuts)
	row("connections made again, leases lapsed", "%d, %d", all.Rejoins, all.Lapses)
	row("texts of genie, sessions rebuilt", "%d, %d", all.Written, all.Rebuilt)
	row("client processes killed", "%d", s.deaths)
	row("goroutines before, after", "%d, %d", base.Goroutines, after.Goroutines)
	row("sessions, state, staged bytes after", "%d, %d, %d", after.Sessions, after.State, after.Staged)
	if n := len(s.samples); n > 0 && s.samples[0].rss > 0 {
		byRSS := func(a, b soakSample) int { return int(a.rss - b.rss) }
		perHour, spread := s.slope()
		most := slices.MaxFunc(s.samples, func(a, b soakSample) int { return int(a.descriptors - b.descriptors) })
		row("resident MiB first, last, most", "%.1f, %.1f, %.1f", inMiB(s.samples[0].rss), inMiB(s.samples[n-1].rss), inMiB(slices.MaxFunc(s.samples, byRSS).rss))
		row("resident MiB/h by the line, spread", "%.2f, %.1f", perHour/(1<<20), spread/(1<<20))
		row("descriptors before, most, after", "%d, %d, %d", s.descriptors, most.descriptors, descriptors)
	}
	for _, name := range slices.Sorted(maps.Keys(all.Errors)) {
		row(name, "%d", all.Errors[name])
	}
	return b.String()
}

func inMiB(n int64) float64 { return float64(n) / (1 << 20) }

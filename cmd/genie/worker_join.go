package main

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/transport"
)

// joinFlags say which fleet a worker joins, and how it is reached.
type joinFlags struct {
	join      string
	advertise string
	zone      string
	lease     time.Duration
	move      time.Duration
	directory directoryFlags
}

func (o *joinFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&o.join, "join", "", "directory of a fleet to register in: nats://host:port, tls://host:port or file:///folder")
	f.StringVar(&o.advertise, "advertise", "", "URL under which clients reach this worker, which the directory shows (default: the first --listen address, which then has to name a host)")
	f.StringVar(&o.zone, "zone", "", "name of a zone; workers of one zone have fast links between them")
	f.DurationVar(&o.lease, "join-lease", fleet.DefaultLease, "how long the directory shows this worker after it fell silent")
	f.DurationVar(&o.move, "move-timeout", 5*time.Second, "how long a worker of a fleet serves its sessions after a signal to stop, so that their clients can move them; it ends when there are none")
	o.directory.flags(f)
}

func (o *joinFlags) check() error {
	switch {
	case o.join == "" && (o.advertise != "" || o.zone != ""):
		return usagef("--advertise and --zone need --join")
	case o.join == "":
		return nil
	case !directoryURL(o.join):
		return usagef("--join %q is not nats://host:port, tls://host:port or file:///folder", o.join)
	case o.lease < 100*time.Millisecond || o.lease > time.Hour || o.move < 0:
		return usagef("--join-lease is %v, --move-timeout is %v", o.lease, o.move)
	}
	if o.advertise == "" {
		return nil
	}
	if _, addr, err := parseListen(o.advertise); err != nil || !dialable(addr) {
		return usagef("--advertise %q is not tcp://host:port or grpc://host:port", o.advertise)
	}
	return nil
}

// moving is how long a stop waits for sessions to move.
func (o *joinFlags) moving() time.Duration {
	if o.join == "" {
		return 0
	}
	return o.move
}

// dialable reports whether others can dial an address.
func dialable(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && host != "" && port != "" && port != "0" && (ip == nil || !ip.IsUnspecified())
}

// address is what the directory shows.
func (o *joinFlags) address(listeners []listener) (string, error) {
	if o.advertise != "" {
		return o.advertise, nil
	}
	at := listeners[0].url()
	u, err := url.Parse(at)
	if err != nil || !dialable(u.Host) {
		return "", usagef("--join needs --advertise tcp://host:port where --listen is %s, which names no host", at)
	}
	return at, nil
}

// joined is a worker's place in a fleet.
type joined struct {
	o      *joinFlags
	dir    fleet.Directory
	member *fleet.Member
	server *worker.Server
	log    *slog.Logger
}

// start registers the worker; nil without --join.
func (o *joinFlags) start(ctx context.Context, w *described, listeners []listener, log *slog.Logger) (*joined, error) {
	if o.join == "" {
		return nil, nil //nolint:nilnil // no fleet
	}
	var err error
	if w.address, err = o.address(listeners); err != nil {
		return nil, err
	}
	dir, err := o.directory.open(o.join, log)
	if err != nil {
		return nil, err
	}
	w.zone, w.started = o.zone, time.Now()
	if w.cpu {
		w.speed = measureSpeed(ctx, w.threads)
	}
	m := fleet.Join(dir, w.facts, fleet.JoinOptions{Lease: o.lease, Log: log})
	return &joined{o: o, dir: dir, member: m, server: w.server, log: log}, nil
}

// drain tells the fleet that the worker stops, and serves its sessions until their
// clients have moved them, or the time is over.
func (j *joined) drain() {
	if j == nil {
		return
	}
	j.member.Drain()
	end := time.NewTimer(j.o.move)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for j.server.Stats().Sessions > 0 {
		select {
		case <-tick.C:
		case <-end.C:
			j.log.Info("sessions that were not moved", "sessions", j.server.Stats().Sessions)
			return
		}
	}
}

// leave takes the worker out of the directory.
func (j *joined) leave() {
	if j == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := j.member.Leave(ctx); err != nil {
		j.log.Warn("the directory still shows this worker, until its lease ends", "error", err)
	}
	_ = j.dir.Close()
}

// described is what a worker says of itself. Its facts are asked for by one goroutine.
type described struct {
	server  *worker.Server
	engine  *engine.Engine
	cpu     bool // the CPU computes
	threads int
	lists   bool // which weights it holds
	address string
	zone    string
	metrics string
	started time.Time
	speed   route.Speed

	held   *route.Filter
	change [2]int64 // of held: weights received and evicted before
	waits  meanWait
}

// meanWait is the mean time of a run in the queue, from a total and a count.
type meanWait struct {
	count uint64
	total float64
	mean  float64 // seconds
}

func (m *meanWait) update(count uint64, total float64) float64 {
	if count > m.count {
		m.mean = (total - m.total) / float64(count-m.count)
	} else {
		m.mean = 0
	}
	m.count, m.total = count, total
	return m.mean
}

// facts are the worker's at this moment.
func (w *described) facts() fleet.Facts {
	st, load, m := w.server.Stats(), w.server.Load(), w.server.Meter()
	f := fleet.Facts{
		Worker: route.Worker{
			Address: w.address, Zone: w.zone, Path: st.CPU, Speed: w.speed, Memory: st.MemoryLimit, Draining: !w.server.Ready(),
			Load: route.Load{Sessions: int(st.Sessions), Running: load.Running},
		},
		Version: currentVersion().Version, Started: w.started, Runs: st.Runs, Metrics: w.metrics,
	}
	f.Free = max(st.MemoryLimit-st.MemoryUsed+st.WeightBytes, 0)
	f.Free = min(f.Free, f.Memory)
	f.Load.Waiting[route.Standard] = load.Queued
	_, count, total := m.QueueWait.Snapshot()
	wait := w.waits.update(count, total)
	for c := range route.Classes {
		f.Load.Wait[c] = min(wait, route.MaxSeconds)
	}
	moved := m.Ledger.Snapshot()
	f.Sent, f.Got = moved.Sent.Total(), moved.Received.Total()
	w.holds(&st)
	f.Weights = w.held
	return f
}

// holds lists the weights anew when they changed. A worker that tells identities apart
// lists none: that it holds a weight is then known to those that have it alone.
func (w *described) holds(st *transport.Stats) {
	now := [2]int64{st.WeightsSent, st.WeightEvictions}
	if !w.lists || w.held != nil && now == w.change {
		return
	}
	hashes := w.engine.Held()
	w.held, w.change = route.NewFilter(len(hashes)), now
	for _, h := range hashes {
		w.held.Add(route.KeyOf(h))
	}
}

// measureSpeed measures what routing predicts with.
func measureSpeed(ctx context.Context, threads int) route.Speed {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	return route.Speed{FLOPS: products(ctx, threads), Read: reads(ctx, threads, 64<<20)}
}

// newDescribed is what --join says of a worker.
func newDescribed(s *worker.Server, e *engine.Engine, o *workerOptions, threads int, metrics string) *described {
	return &described{
		server: s, engine: e, cpu: o.device == host.CPU, threads: threads, lists: !o.access.authenticates(), metrics: metrics,
	}
}

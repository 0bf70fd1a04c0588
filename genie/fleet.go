package genie

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/transport"
)

// WithDirectory opens the directories of fleets that URLs name which are neither
// executors nor files. The default knows none, so that a program without a fleet
// links none: "nats://host:port" needs
//
//	genie.WithDirectory(natskv.Opener())
//
// of package fleet/natskv. The client closes the directory.
func WithDirectory(open func(url string) (fleet.Directory, error)) Option {
	return optionFunc(func(o *options) { o.directory = open })
}

// WithClass says what matters to the client's requests where it chooses among the
// workers of a fleet. The default is [route.Interactive].
func WithClass(c route.Class) Option { return optionFunc(func(o *options) { o.class = c }) }

// WithRouting chooses the worker of a fleet for each session, by a policy that only
// this client uses. The default is [route.Meaning].
func WithRouting(p route.Policy) Option { return optionFunc(func(o *options) { o.routing = p }) }

const (
	// avoidTime is how long a worker that could not be reached gets no session.
	avoidTime = 2 * time.Second
	// distrustTime is how long the filters of a worker that lacked what they said
	// are not believed.
	distrustTime = time.Minute
	// fleetPause is the longest pause between two attempts to find a worker.
	fleetPause = 250 * time.Millisecond
)

// isDirectory reports whether a URL, or a list of them, is that of a directory.
func isDirectory(list string) bool {
	scheme, _, ok := strings.Cut(list, ":")
	return ok && scheme != "local" && scheme != "tcp" && scheme != "grpc" &&
		(scheme == "file" || strings.HasPrefix(list[len(scheme):], "://"))
}

// openDirectory opens a directory.
func openDirectory(list string, o options) (fleet.Directory, error) {
	if strings.HasPrefix(list, "file:") {
		u, err := url.Parse(list)
		if err != nil || u.Host != "" || u.Path == "" || u.RawQuery != "" {
			return nil, fmt.Errorf("%w: %q, want file:///folder", ErrURL, list)
		}
		return fleet.OpenFolder(u.Path)
	}
	if o.directory == nil {
		return nil, fmt.Errorf("%w: %q is no executor; if it is a fleet's directory, give genie.WithDirectory, such as natskv.Opener() of fleet/natskv", ErrURL, list)
	}
	return o.directory(list)
}

// members are the executors of a fleet's workers, by the worker's name in the
// directory. They are dialled when a session needs them, and closed when none does
// and the worker has left.
type members struct {
	dir  fleet.Directory
	f    *fleet.Follower
	opts options
	// total is how long a worker is looked for; opts has how long one of them is.
	total time.Duration

	mu     sync.Mutex
	closed bool
	policy route.Policy // used with the lock
	by     map[string]*member
	last   *member            // the one that was used last
	gone   transport.Snapshot // bytes of executors that are closed
}

type member struct {
	id   string
	exec transport.Executor
	uses int // sessions
}

// openFleet follows a directory, and connects to one of its workers.
func openFleet(ctx context.Context, list string, o options) (*members, error) {
	dir, err := openDirectory(list, o)
	if err != nil {
		return nil, err
	}
	total := o.reconnect
	if total > 0 { // of one worker; there are others
		o.reconnect = max(total/8, min(total, 250*time.Millisecond))
	}
	m := &members{dir: dir, opts: o, total: total, policy: o.routing, by: map[string]*member{}}
	if m.policy == nil {
		m.policy = route.NewMeaning(route.MeaningOptions{Seed: seedOf(m)})
	}
	begin, cancel := context.WithTimeout(ctx, total+time.Second)
	defer cancel()
	if m.f, err = fleet.Follow(begin, dir, fleet.FollowOptions{Log: o.logger}); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	h := home{}
	s, err := m.session(ctx, &h)
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	m.left(&h)
	return m, s.Close()
}

// seedOf differs between clients, so that equal clients do not choose alike.
func seedOf(*members) uint64 { return uint64(time.Now().UnixNano()) }

// session opens a session on the worker that suits its request, and on another one
// when that cannot be reached, for as long as [WithReconnect] says.
func (m *members) session(ctx context.Context, h *home) (transport.Session, error) {
	total := m.total
	caller := ctx
	if total > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, total)
		defer cancel()
	}
	h.r.Deadline, _ = caller.Deadline()
	h.r.Class = m.opts.class
	var failed []error
	for {
		changed := m.f.Changed()
		s, err := m.attempt(ctx, h)
		if err == nil {
			return s, nil
		}
		if failed = append(failed, err); len(failed) > 8 {
			failed = failed[1:]
		}
		if ctx.Err() == nil && (total <= 0 || !again(err)) {
			return nil, errors.Join(failed...)
		}
		pause := time.Duration(0)
		if errors.Is(err, route.ErrNoWorker) {
			pause = fleetPause
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-changed:
		case <-ctx.Done():
		}
		t.Stop()
		switch {
		case caller.Err() != nil:
			return nil, errors.Join(append(failed, ctxError(caller))...)
		case ctx.Err() != nil:
			return nil, overTime(total, failed)
		}
	}
}

// again reports whether another worker may do what one could not.
func again(err error) bool {
	return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrDevice) || errors.Is(err, route.ErrNoWorker) || leaving(err)
}

// attempt routes once and opens a session there.
func (m *members) attempt(ctx context.Context, h *home) (transport.Session, error) {
	d, err := m.route(h.r)
	if err != nil {
		return nil, err
	}
	one, err := m.member(ctx, d)
	if err == nil {
		var s transport.Session
		begin := time.Now()
		if s, err = one.exec.NewSession(ctx); err == nil {
			m.arrived(h, one, d, time.Since(begin))
			return s, nil
		}
		m.release(one)
	}
	if again(err) {
		m.f.Table(func(t *route.Table, now time.Time) { t.Avoid(d.Worker, now.Add(avoidTime)) })
	}
	return nil, err
}

func (m *members) route(r route.Request) (route.Decision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return route.Decision{}, fmt.Errorf("%w: client", ErrClosed)
	}
	return m.f.Route(m.policy, r)
}

// member finds the executor of a worker, or dials it, and counts a use of it.
func (m *members) member(ctx context.Context, d route.Decision) (*member, error) {
	if one := m.use(d.Worker); one != nil {
		return one, nil
	}
	exec, err := dial(ctx, d.Address, m.opts)
	if err != nil {
		return nil, err
	}
	one, err := m.keep(&member{id: d.Worker, exec: exec})
	if one == nil || one.exec != exec { // without the lock: it says goodbye to a worker
		_ = exec.Close()
	}
	return one, err
}

func (m *members) use(id string) *member {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.by[id]
	if one != nil {
		one.uses++
		m.last = one
	}
	return one
}

// keep remembers a member, unless another caller was faster.
func (m *members) keep(one *member) (*member, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, fmt.Errorf("%w: client", ErrClosed)
	}
	if have := m.by[one.id]; have != nil {
		one = have
	}
	m.by[one.id] = one
	one.uses++
	m.last = one
	return one, nil
}

// release ends a use. Executors of workers that left are closed with the last one.
func (m *members) release(one *member) {
	for _, x := range m.unused(one) {
		_ = x.exec.Close()
		m.account(x)
	}
}

func (m *members) unused(one *member) (out []*member) {
	there := func(id string) (ok bool) {
		m.f.Table(func(t *route.Table, _ time.Time) { _, ok = t.Find(id) })
		return ok
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	one.uses--
	for id, x := range m.by {
		if x.uses == 0 && x != m.last && !there(id) {
			delete(m.by, id)
			out = append(out, x)
		}
	}
	return out
}

func (m *members) account(x *member) {
	moved := x.exec.Ledger().Snapshot()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = m.gone.Add(moved)
}

func (m *members) current() transport.Executor {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last.exec
}

func (m *members) ledger() transport.Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := m.gone
	for _, x := range m.by {
		sum = sum.Add(x.exec.Ledger().Snapshot())
	}
	return sum
}

// ends marks the fleet as closed and gives the executors.
func (m *members) ends() (out []*member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for _, x := range m.by {
		out = append(out, x)
	}
	return out
}

func (m *members) close() error {
	var err error
	for _, x := range m.ends() {
		err = errors.Join(err, x.exec.Close())
	}
	return errors.Join(err, m.f.Close(), m.dir.Close())
}

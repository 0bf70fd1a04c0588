package genie

import (
	"time"

	"github.com/genie-sdk/go/fleet/route"
)

// home is where a session is in a fleet, and what it asks for.
type home struct {
	r       route.Request
	settled bool   // placed for what it runs
	rooted  string // the worker from which its state cannot be sent

	at stay // with the lock of members: Close does not have the session's turn
}

// stay is a session at a worker, as it is counted there.
type stay struct {
	m *member // nil while the session is nowhere
	d route.Decision
	r route.Request
}

// at is where a session is.
func (m *members) at(h *home) stay {
	m.mu.Lock()
	defer m.mu.Unlock()
	return h.at
}

// move says where a session is now, and gives where it was.
func (m *members) move(h *home, to stay) stay {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := h.at
	h.at = to
	return from
}

// arrived notes that a session is at a worker.
func (m *members) arrived(h *home, one *member, d route.Decision, took time.Duration) {
	m.move(h, stay{one, d, h.r})
	m.f.Table(func(t *route.Table, _ time.Time) {
		t.Started(d, h.r)
		t.Learn(d.Worker, h.r.Prefix)
		if i, ok := t.Find(d.Worker); ok {
			l := t.At(i).Link
			if l.Delay == 0 || took/2 < l.Delay { // the rest is the worker's other work
				l.Delay = took / 2
			}
			t.SetLink(d.Worker, l)
		}
		if h.settled {
			t.LearnModel(d.Worker, h.r.Model)
		}
	})
	m.opts.logger.Debug("a session is placed", "worker", d.Worker, "address", d.Address, "because", d.Reason.String(),
		"first", time.Duration(d.Cost.First()*float64(time.Second)), "reused", d.Reused)
}

// left notes that a session is there no longer.
func (m *members) left(h *home) {
	was := m.move(h, stay{})
	if was.m == nil {
		return
	}
	m.f.Table(func(t *route.Table, _ time.Time) { t.Finished(was.d, was.r) })
	m.release(was.m)
}

// reroute asks where a session that is open would go, and whether it is there.
func (m *members) reroute(h *home) (stays bool, err error) {
	at, r := m.at(h), h.r
	m.f.Table(func(t *route.Table, _ time.Time) {
		t.Finished(at.d, at.r)
		if i, ok := t.Find(at.d.Worker); ok && !t.At(i).Draining {
			r.Home = at.d.Worker
		}
	})
	d, err := m.route(r)
	if stays = err == nil && d.Worker == at.d.Worker; stays {
		at.d, at.r = d, h.r
		m.move(h, at)
	}
	m.f.Table(func(t *route.Table, _ time.Time) {
		t.Started(at.d, at.r)
		if stays {
			t.LearnModel(d.Worker, h.r.Model)
		}
	})
	return stays, err
}

// lost notes that a session's worker is gone, or forgot it.
func (m *members) lost(h *home) {
	at := m.at(h)
	m.f.Table(func(t *route.Table, now time.Time) { t.Avoid(at.d.Worker, now.Add(avoidTime/2)) })
}

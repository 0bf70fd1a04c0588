package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport/plan"
)

// Clients that start together miss the same weights. Prepare assigns each
// missing weight to one session, which must send it. A Prepare of another
// session of the same identity waits until that is done, and then misses
// nothing. A claim ends when its weight has arrived, when its session ends or
// loses its connection, and when nothing has arrived from that session for
// claimIdle, or for claimStart after the assignment. Then the next waiting
// session must send, from where the first one got to. A Prepare that has waited
// for a session that sent nothing does not wait for another. Sessions of
// different identities do not wait for each other, since the wait would reveal
// what another identity uploads.

const (
	// maxClaims bounds the number of assigned weights. Further weights are not
	// claimed, and may be sent twice.
	maxClaims = 1 << 16
	// claimIdle is how long a session may send nothing of its assigned weights
	// before they are assigned to another one.
	claimIdle = 10 * time.Second
	// claimStart is the same before its first byte.
	claimStart = 3 * time.Second
)

// claims records which session sends which weights. The zero value is not
// ready; see newClaims.
type claims struct {
	idle time.Duration

	mu sync.Mutex
	by map[claimKey]*claim
}

type claimKey struct {
	tenant *tenant
	hash   plan.Hash
}

// claim is the weights that one Prepare has assigned to a session. All fields
// but session belong to the claims and are guarded by their lock.
type claim struct {
	session  *session
	left     map[plan.Hash]struct{}
	progress time.Time     // last arrival of content
	began    bool          // content has arrived
	gone     chan struct{} // closed when no weight is left
}

func newClaims(idle time.Duration) *claims {
	return &claims{idle: idle, by: map[claimKey]*claim{}}
}

// take assigns to s those of hashes that no other session sends. If another
// session of its identity sends one of them, take assigns none, and wait says
// when to ask again: when it is closed, or after at most idle. With force it
// does not wait, and assigns what no other session sends.
func (c *claims) take(s *session, hashes []plan.Hash, force bool) (wait <-chan struct{}, idle time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, h := range hashes {
		x := c.by[claimKey{s.tenant, h}]
		if x == nil || x.session == s || force {
			continue
		}
		if left := c.left(x, now); left > 0 {
			return x.gone, left
		}
	}
	mine := &claim{session: s, left: make(map[plan.Hash]struct{}, len(hashes)), progress: now, gone: make(chan struct{})}
	for _, h := range hashes {
		k := claimKey{s.tenant, h}
		x := c.by[k]
		if x == mine { // content that is missing in two layouts
			continue
		}
		if x != nil && x.session != s && c.left(x, now) > 0 {
			continue
		}
		c.end(k)
		if len(c.by) < maxClaims {
			c.by[k] = mine
			mine.left[h] = struct{}{}
		}
	}
	if len(mine.left) > 0 {
		s.claims = append(s.claims, mine)
	}
	return nil, 0
}

// left is how long x stays valid if nothing of it arrives.
func (c *claims) left(x *claim, now time.Time) time.Duration {
	idle := c.idle
	if !x.began {
		idle = min(idle, claimStart)
	}
	return idle - now.Sub(x.progress)
}

// end removes a weight from its claim. The lock is held.
func (c *claims) end(k claimKey) {
	x := c.by[k]
	if x == nil {
		return
	}
	delete(c.by, k)
	delete(x.left, k.hash)
	if len(x.left) == 0 {
		close(x.gone)
		x.session.dropClaim(x)
	}
}

// dropClaim drops an empty claim. The lock of the claims is held.
func (s *session) dropClaim(x *claim) {
	for i, y := range s.claims {
		if x == y {
			s.claims = append(s.claims[:i], s.claims[i+1:]...)
			return
		}
	}
}

// done says that the wait for a weight is over: it has arrived, or no session
// sends it.
func (c *claims) done(t *tenant, hashes ...plan.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range hashes {
		c.end(claimKey{t, h})
	}
}

// came says that some content of a weight from s has arrived.
func (c *claims) came(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(s.claims) == 0 {
		return
	}
	now := time.Now()
	for _, x := range s.claims {
		x.progress, x.began = now, true
	}
}

// leave ends the claims of s.
func (c *claims) leave(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(s.claims) > 0 {
		x := s.claims[len(s.claims)-1]
		for h := range x.left {
			c.end(claimKey{s.tenant, h})
		}
	}
}

// claim waits until no other session of the identity sends a weight that the
// plan misses, and then claims the missing weights. Other sessions have their
// turn meanwhile.
func (r *preparation) claim(ctx context.Context) ([]int, error) {
	for force := false; ; {
		missing := r.s.wanted(r.p)
		if len(missing) == 0 {
			return nil, nil
		}
		gone, idle := r.s.srv.claims.take(r.s, r.hashes(missing), force)
		if gone == nil {
			return missing, nil
		}
		r.s.srv.meter.UploadsShared.Add(1)
		r.turns.leave()
		late, err := waitFor(ctx, gone, idle)
		if err != nil {
			return nil, err
		}
		force = force || late
		if err := r.turns.again(ctx); err != nil {
			return nil, err
		}
	}
}

// hashes are the contents of values of the plan.
func (r *preparation) hashes(ids []int) []plan.Hash {
	out := make([]plan.Hash, len(ids))
	for i, id := range ids {
		out[i] = r.p.Plan().Values[id].Hash
	}
	return out
}

// waitFor waits for at most d until done is closed; late says that it was not.
func waitFor(ctx context.Context, done <-chan struct{}, d time.Duration) (late bool, err error) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		late = true
	case <-ctx.Done():
		return false, fmt.Errorf("genie: stopped while another client sends the weights: %w", context.Cause(ctx))
	}
	return late, nil
}

// unclaim ends the claims on weights that were found on the worker after all.
func (r *preparation) unclaim(claimed, missing []int) {
	left := make(map[plan.Hash]struct{}, len(missing))
	for _, h := range r.hashes(missing) {
		left[h] = struct{}{}
	}
	var found []plan.Hash
	for _, h := range r.hashes(claimed) {
		if _, ok := left[h]; !ok {
			found = append(found, h)
		}
	}
	r.s.srv.claims.done(r.s.tenant, found...)
}

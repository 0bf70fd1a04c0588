package simulation

import (
	"math"

	"github.com/genie-sdk/go/fleet/route"
)

// none is no session, worker or entry.
const none = int32(-1)

// session is a conversation, or one request. It has at most one request under way.
type session struct {
	group    *group
	random   draws
	number   uint64 // of all sessions
	tenant   int32
	prefix   int32 // none for none
	turns    int32 // that are left, this one included
	history  int32 // tokens before this turn, without the prefix
	prompt   int32 // tokens of this turn
	output   int32 // tokens that this try generates
	home     int32 // the worker with its state, or none
	homeID   string
	held     int32 // tokens of its state there, the prefix included
	worker   int32 // of the request under way
	decision route.Decision
	sent     int64 // when the turn began
	first    bool  // the first token is there
	rows     int32 // of the prompt, left to compute
	cached   int32 // rows before these
	moved    int32 // tokens of its history that were sent to the worker
	prefixAt int32 // the entry of its prefix there, or none
	tries    int32
	asked    int32 // tokens that this turn generates, in all tries
}

// next schedules the next session of a group: a Poisson process whose rate
// follows the day, by thinning (Lewis and Shedler, 1979).
func (f *fleet) next(g *group) {
	if g.begun >= g.Count {
		return
	}
	peak, seconds := float64(g.Count)/f.sc.Second, float64(f.now)/1e9
	if d := f.sc.Day; d != nil {
		top := peak * (1 + d.Amplitude)
		for {
			seconds += g.arrivals.exponential() / top
			if g.arrivals.unit()*top <= peak*(1+d.Amplitude*math.Sin(2*math.Pi*seconds/d.Seconds)) {
				break
			}
		}
	} else {
		seconds += g.arrivals.exponential() / peak
	}
	f.events.push(nanoseconds(seconds), sessionBegins, int32(g.number), 0)
}

// begin makes a session.
func (f *fleet) begin(g *group) {
	id := int32(len(f.session))
	if n := len(f.free); n > 0 {
		id, f.free = f.free[n-1], f.free[:n-1]
	} else {
		f.session = append(f.session, session{})
	}
	number := uint64(g.number)<<32 | uint64(g.begun)
	s := &f.session[id]
	*s = session{group: g, number: number, random: newDraws(f.seed, 2, number), prefix: none, home: none, worker: none, prefixAt: none}
	s.tenant = g.tenant + s.random.in(Range{0, g.Tenants - 1})
	if g.shares != nil {
		s.prefix = g.prefix + g.drawPrefix(f.seed, &s.random)
	}
	s.turns = s.random.in(g.Turns)
	g.begun++
	f.next(g)
	f.turn(id)
}

// drawPrefix is the prefix of the next session of a group. Even ones come once
// each, in an order that is another one each time.
func (g *group) drawPrefix(seed uint64, random *draws) int32 {
	n := len(g.shares)
	if !g.Prefixes.Even {
		return random.of(g.shares)
	}
	order := newDraws(seed, 4, uint64(g.number), uint64(g.begun/n))
	step := int(order.in(Range{1, n}))
	for gcd(step, n) != 1 {
		step = int(order.in(Range{1, n}))
	}
	return int32((g.begun%n*step + int(order.in(Range{0, n - 1}))) % n)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// turn begins a turn of a session.
func (f *fleet) turn(id int32) {
	s := &f.session[id]
	s.prompt, s.output = s.random.in(s.group.Prompt), s.random.in(s.group.Output)
	s.sent, s.first, s.tries, s.asked = f.now, false, 0, s.output
	f.stats.requests++
	f.send(id)
}

// tokens are all of the prompt.
func (s *session) tokens() int32 { return s.group.prefixTokens(s) + s.history + s.prompt }

func (g *group) prefixTokens(s *session) int32 {
	if s.prefix == none {
		return 0
	}
	return g.tokens
}

// blocks are the keys of the blocks of a session's prompt: those of its prefix,
// which others have too, and its own.
func (f *fleet) blocks(s *session) []route.Key {
	f.keys = f.keys[:0]
	shared := int(s.group.prefixTokens(s)) / route.BlockTokens
	for i := range min(int(s.tokens())/route.BlockTokens, route.MaxBlocks) {
		if i < shared {
			f.keys = append(f.keys, route.Key(mix(s.prefixKey()+uint64(i))))
		} else {
			f.keys = append(f.keys, route.Key(mix(s.key()+uint64(i))))
		}
	}
	return f.keys
}

// finish ends a turn whose last token was generated.
func (f *fleet) finish(id int32, w *worker) {
	s := &f.session[id]
	f.stats.finished(s, f.now+w.kind.delay)
	s.group.model.table.Finished(s.decision, route.Request{Class: s.group.class})
	s.history += s.prompt + s.output
	s.worker = none
	if s.turns--; s.turns <= 0 {
		f.release(w, s)
		f.end(id)
		return
	}
	s.home, s.homeID, s.held = w.number, w.id, s.group.prefixTokens(s)+s.history
	f.keep(w, s)
	f.events.push(f.now+w.kind.delay+nanoseconds(s.random.inF(s.group.Think)), turnBegins, id, 0)
}

// end forgets a session.
func (f *fleet) end(id int32) {
	f.free = append(f.free, id)
	f.open--
}

package fault

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport/wire"
)

// dice are random numbers that several directions draw from.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newDice(seed uint64) *dice {
	return &dice{r: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))} //nolint:gosec // a run has to be repeatable
}

func (d *dice) float() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.Float64()
}

func (d *dice) intN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

// setUp reports whether a frame belongs to the setup of a connection or to its
// heartbeat. Plans by rates spare these: a link that admits no connection is
// another test.
func setUp(t wire.Type) bool {
	return t == wire.TypeHello || t == wire.TypeOpenSession || t == wire.TypePing
}

// setUpPieces is how many pieces of bytes the setup of a connection takes.
const setUpPieces = 6

// Drop loses a fraction of the requests and of the replies.
func Drop(seed uint64, requests, replies float64) func(Piece) Verdict {
	d := newDice(seed)
	return func(p Piece) Verdict {
		rate := replies
		if p.ToWorker {
			rate = requests
		}
		if setUp(p.Type) || d.float() >= rate {
			return Verdict{}
		}
		return Verdict{Action: Lose}
	}
}

// Sometimes applies an action to a fraction of the pieces, in both directions.
func Sometimes(seed uint64, rate float64, what Action) func(Piece) Verdict {
	d := newDice(seed)
	return func(p Piece) Verdict {
		if setUp(p.Type) || p.Type == 0 && p.Number < setUpPieces || d.float() >= rate {
			return Verdict{}
		}
		return Verdict{Action: what, Bit: d.intN(1 << 20)}
	}
}

// Late delays each piece by a random time up to most.
func Late(seed uint64, most time.Duration) func(Piece) Verdict {
	d := newDice(seed)
	return func(Piece) Verdict { return Verdict{Delay: time.Duration(d.intN(int(most)))} }
}

// At applies an action to one piece of one direction of one connection.
func At(conn, number int, toWorker bool, what Action) func(Piece) Verdict {
	return func(p Piece) Verdict {
		if p.Conn != conn || p.ToWorker != toWorker || p.Number != number {
			return Verdict{}
		}
		return Verdict{Action: what, Bit: 8 * (p.Len - 1)}
	}
}

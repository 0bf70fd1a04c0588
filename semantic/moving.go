package semantic

import (
	"fmt"
	"math"
	"slices"
)

// Move is how a device gets a value that another one has.
type Move uint8

// The ways.
const (
	MoveSend      Move = iota // the value itself is sent for each use
	MoveRecompute             // it is computed there from an ancestor, for each use
	MoveKeep                  // both devices keep it: it is sent or computed once, and then what it grows by is sent
)

var moveNames = [...]string{"send", "recompute", "keep"}

// String is send, recompute or keep.
func (m Move) String() string {
	if int(m) < len(moveNames) {
		return moveNames[m]
	}
	return fmt.Sprintf("move(%d)", uint8(m))
}

// MarshalText implements encoding.TextMarshaler.
func (m Move) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// MoveInput is a value that one device has and another one reads.
type MoveInput struct {
	Bytes float64 // of the value
	Link  Link    // from the device that has it
	// Uses is how often it is read there, at least once.
	Uses int
	// Grows is how many bytes the value gains between two uses, where it is made:
	// the rows of a cache.
	Grows float64
	// Room is the bytes that the reader's device has for a copy between uses.
	Room float64
	// Ancestors are the values from which it can be computed there.
	Ancestors []Ancestor
}

// Ancestor is what a value can be computed from.
type Ancestor struct {
	Values  []int   // of the plan; empty for what the reader's device has
	Bytes   float64 // to send; 0 sends nothing
	Seconds float64 // to compute the value on the reader's device
}

// Moving is a choice, for all uses together.
type Moving struct {
	Move     Move
	Ancestor int // index of that which the value is computed from, -1 if it is sent
	Seconds  float64
}

// ChooseMove is the cheapest way to get a value to its reader. Of equal ones it
// is that which is listed first among the moves, and sending before computing.
func ChooseMove(in MoveInput) Moving {
	x := inverse(in.Link.Rate)
	best := Moving{Seconds: math.Inf(1)}
	for _, w := range in.ways() {
		if s := w.at(x); s < best.Seconds {
			best = Moving{Move: w.move, Ancestor: w.ancestor, Seconds: s}
		}
	}
	return best
}

// MoveRegime is a range of rates of the link in which one choice is the cheapest.
type MoveRegime struct {
	From, To float64 // bytes per second
	Move     Move
	Ancestor int
}

// MoveRegimes divides a range of rates, in bytes per second, by the cheapest choice,
// from the lowest rate to the highest: neighbours meet at the crossover. The rate
// of in.Link is ignored.
func MoveRegimes(in MoveInput, from, to float64) []MoveRegime {
	ways := in.ways()
	x, end := inverse(to), inverse(from)
	at := lowest(ways, x)
	var out []MoveRegime
	for {
		// Towards slower links only a way that moves fewer bytes overtakes.
		next, when := -1, end
		for i, w := range ways {
			if w.inverse >= ways[at].inverse {
				continue
			}
			meet := (w.seconds - ways[at].seconds) / (ways[at].inverse - w.inverse)
			if meet < when || meet == when && next >= 0 && w.inverse < ways[next].inverse {
				next, when = i, meet
			}
		}
		when = max(when, x)
		if when > x || next < 0 {
			out = append(out, MoveRegime{From: 1 / when, To: inverse(x), Move: ways[at].move, Ancestor: ways[at].ancestor})
		}
		if next < 0 {
			break
		}
		at, x = next, when
	}
	slices.Reverse(out)
	out[0].From, out[len(out)-1].To = from, to
	return out
}

// inverse is the seconds of a byte, and 0 of an unlimited rate.
func inverse(rate float64) float64 {
	if rate <= 0 || math.IsInf(rate, 1) {
		return 0
	}
	return 1 / rate
}

// moveWay is a way with its cost: seconds, and seconds for each second that a byte
// takes on the link.
type moveWay struct {
	move             Move
	ancestor         int
	seconds, inverse float64
}

func (w *moveWay) at(x float64) float64 { return w.seconds + w.inverse*x }

// lowest is the cheapest way at x and, of equal ones, that which stays so towards
// slower links.
func lowest(ways []moveWay, x float64) int {
	best := 0
	for i := range ways {
		a, b := ways[i].at(x), ways[best].at(x)
		if a < b || a == b && ways[i].inverse < ways[best].inverse {
			best = i
		}
	}
	return best
}

// ways lists what is possible, in the order of preference.
func (in *MoveInput) ways() []moveWay {
	once := []moveWay{{ancestor: -1, seconds: in.Link.Delay.Seconds(), inverse: in.Bytes}}
	for i, a := range in.Ancestors {
		w := moveWay{move: MoveRecompute, ancestor: i, seconds: a.Seconds, inverse: a.Bytes}
		if a.Bytes > 0 {
			w.seconds += in.Link.Delay.Seconds()
		}
		once = append(once, w)
	}
	uses := float64(max(in.Uses, 1))
	out := make([]moveWay, 0, 2*len(once))
	for _, w := range once {
		w.seconds, w.inverse = uses*w.seconds, uses*w.inverse
		out = append(out, w)
	}
	if uses > 1 && in.Room >= in.Bytes+(uses-1)*in.Grows {
		for _, w := range once {
			w.move = MoveKeep
			if in.Grows > 0 {
				w.seconds += (uses - 1) * in.Link.Delay.Seconds()
				w.inverse += (uses - 1) * in.Grows
			}
			out = append(out, w)
		}
	}
	return out
}

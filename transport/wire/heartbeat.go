package wire

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport"
)

// Silence is how long a peer may be silent before it is taken for dead.
const Silence = 3 * time.Second

// beatsInSilence is how many heartbeats a side asks for within the silence
// after which it gives its peer up, and looksInSilence how often it looks.
const (
	beatsInSilence = 3
	looksInSilence = 8
)

// minBeat bounds how often a peer can make this side send.
const minBeat = 10 * time.Millisecond

// minHeard is how many bytes of a frame that goes on are a sign of life. The
// heartbeats of a peer in the time of its silence are fewer: when the length of
// a frame was damaged on its way, they would be taken for the rest of it.
const minHeard = 1 << 10

// Activity counts the bytes that came. The zero Activity is ready to use.
type Activity struct{ n atomic.Uint64 }

// Touch says that n bytes came.
func (a *Activity) Touch(n int) {
	if n > 0 {
		a.n.Add(uint64(n))
	}
}

// Count is how many bytes came.
func (a *Activity) Count() uint64 { return a.n.Load() }

// Lively is a [Pipe] that counts the bytes that come, also within a frame: a slow
// link is no dead one.
type Lively interface {
	Activity() uint64
}

// Heart is how one side of a connection says that it lives, and finds out
// whether its peer does. Whatever travels counts; a Ping goes only into silence.
type Heart struct {
	Every   time.Duration // the peer wants to hear something so often; 0 when it does not ask
	Silence time.Duration // the peer is dead when nothing came for so long; 0 for never
}

// HeartbeatMillis is what a Hello asks of a peer that is given up after silence.
func HeartbeatMillis(silence time.Duration) uint32 {
	if silence <= 0 {
		return 0
	}
	return uint32(max(silence/beatsInSilence, minBeat).Milliseconds())
}

// EveryMillis is the inverse of [HeartbeatMillis]: what a peer's Hello asks for.
func EveryMillis(ms uint32) time.Duration {
	if ms == 0 {
		return 0
	}
	return max(time.Duration(ms)*time.Millisecond, minBeat)
}

// Beat keeps h until ctx ends or the peer is dead, which is reported, once, as
// an error that wraps [transport.ErrUnreachable].
//
// A peer lives that finishes frames, or from which at least minHeard bytes of one
// come in the time.
//
// Silence is counted in looks and not read from a clock: a machine that was
// suspended does not take all its peers for dead when it goes on.
func (c *Conn) Beat(ctx context.Context, h Heart) error {
	look := h.Every / 2
	if d := h.Silence / looksInSilence; d > 0 && (look == 0 || d < look) {
		look = d
	}
	if look <= 0 {
		return nil
	}
	t := time.NewTicker(look)
	defer t.Stop()
	sent, frames, bytes := c.sent.Load(), c.received.Load(), c.heard()
	var mute, deaf time.Duration // nothing sent, nothing heard for so many looks
	for {
		select {
		case <-t.C:
		case <-c.closed:
			return nil
		case <-ctx.Done():
			return nil
		}
		if n, b := c.received.Load(), c.heard(); n != frames || b-bytes >= minHeard {
			frames, bytes, deaf = n, b, 0
		} else if deaf += look; h.Silence > 0 && deaf >= h.Silence {
			return fmt.Errorf("%w: the peer was silent for %v", transport.ErrUnreachable, h.Silence)
		}
		if n := c.sent.Load(); n != sent {
			sent, mute = n, 0
		} else if mute += look; h.Every > 0 && mute >= h.Every {
			c.ping(ctx, h.Every)
		}
	}
}

// heard is how many bytes came, as far as the pipe knows.
func (c *Conn) heard() uint64 {
	if l, ok := c.pipe.(Lively); ok {
		return l.Activity()
	}
	return 0
}

// ping sends a Ping unless a frame is being written just now, which says the
// same. A peer that does not take it in time is given up by the writer.
func (c *Conn) ping(ctx context.Context, patience time.Duration) {
	select {
	case <-c.lock:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, _ = c.writeFrame(ctx, Header{Type: TypePing}, nil, nil, nil)
}

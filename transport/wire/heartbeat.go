package wire

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport"
)

// Silence is how long a peer may be silent before it is declared dead.
const Silence = 3 * time.Second

// beatsInSilence is how many heartbeats an endpoint requests within the silence
// after which it gives up its peer. looksInSilence is how often it checks.
const (
	beatsInSilence = 3
	looksInSilence = 8
)

// minBeat bounds how often a peer can make this process send.
const minBeat = 10 * time.Millisecond

// minHeard is how many bytes of an unfinished frame are a sign of life. The
// heartbeats that a peer sends within the silence are fewer: if the length of a
// frame was damaged in transit, they would be mistaken for the rest of it.
const minHeard = 1 << 10

// Activity counts received bytes. The zero Activity is ready to use.
type Activity struct{ n atomic.Uint64 }

// Touch counts n received bytes.
func (a *Activity) Touch(n int) {
	if n > 0 {
		a.n.Add(uint64(n))
	}
}

// Count is the number of received bytes.
func (a *Activity) Count() uint64 { return a.n.Load() }

// Lively is a [Pipe] that counts bytes as they arrive, also within a frame: a
// slow link is not a dead one.
type Lively interface {
	Activity() uint64
}

// Heart sends the heartbeats of one end of a connection and checks those of its
// peer. Any traffic counts; a Ping is sent only into silence.
type Heart struct {
	Every   time.Duration // the peer expects a message this often; 0 if it does not ask
	Silence time.Duration // the peer is dead after this silence; 0 for never
}

// HeartbeatMillis is the heartbeat that a Hello requests from a peer that is
// given up after silence.
func HeartbeatMillis(silence time.Duration) uint32 {
	if silence <= 0 {
		return 0
	}
	return uint32(max(silence/beatsInSilence, minBeat).Milliseconds())
}

// EveryMillis is the inverse of [HeartbeatMillis]: the heartbeat that a peer's
// Hello requests.
func EveryMillis(ms uint32) time.Duration {
	if ms == 0 {
		return 0
	}
	return max(time.Duration(ms)*time.Millisecond, minBeat)
}

// Beat runs h until ctx ends or the peer is dead. It then returns an error that
// wraps [transport.ErrUnreachable].
//
// A peer is alive if it finishes frames, or if at least minHeard bytes of one
// arrive in the time.
//
// Silence is counted in checks, not read from a clock: a machine that wakes
// from suspension does not declare all its peers dead.
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
	var mute, deaf time.Duration // nothing sent, nothing received, for this many checks
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

// heard is the number of received bytes, as far as the pipe knows.
func (c *Conn) heard() uint64 {
	if l, ok := c.pipe.(Lively); ok {
		return l.Activity()
	}
	return 0
}

// ping sends a Ping unless a frame is being written, which serves the same
// purpose. The writer gives up a peer that does not accept it in time.
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

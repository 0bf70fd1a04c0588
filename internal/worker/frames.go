package worker

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
)

// Limits of a frame for a client that lags.
const (
	gatherRuns  = wire.LoopCredit / 4
	gatherBytes = 2 << 10
)

// runFrames sends the runs of a loop: each is its tokens and its microseconds.
// Each has its own frame, or several share one for a client that lags and would
// not read them earlier.
type runFrames struct {
	st    *stream
	cause plan.Cause // for the tokens
	m     wire.Message
	buf   []byte
	runs  int // in buf
}

func newRunFrames(st *stream, cause plan.Cause) *runFrames {
	return &runFrames{st: st, cause: cause, m: wire.Message{Type: wire.TypeLoop, Flags: wire.FlagAnswer, Stream: st.id}}
}

// add takes a run. It sends it now unless it may wait for others.
func (f *runFrames) add(tokens []byte, elapsed time.Duration, more, mayWait bool) error {
	f.buf = append(f.buf, tokens...)
	f.buf = binary.LittleEndian.AppendUint32(f.buf, microseconds(elapsed))
	f.runs++
	next := len(f.buf) + len(f.buf)/f.runs
	if more && mayWait && f.runs < gatherRuns && next <= gatherBytes {
		return nil
	}
	return f.send(more)
}

func (f *runFrames) send(more bool) error {
	f.m.Open = more
	f.m.Payload = []wire.Segment{{Data: f.buf, Cause: f.cause}}
	err := f.st.c.send(&f.m)
	f.m.Type, f.m.Flags = wire.TypeData, 0
	f.buf, f.runs = f.buf[:0], 0
	return err
}

// abort sends the runs that a loop has made before err ended it, unless the
// client has left.
func (f *runFrames) abort(ctx context.Context, err error) error {
	if f.runs > 0 && ctx.Err() == nil {
		if e := f.send(true); e != nil {
			return e
		}
	}
	return err
}

func microseconds(d time.Duration) uint32 { return uint32(min(d.Microseconds(), math.MaxUint32)) }

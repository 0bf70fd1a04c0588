package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/genie-sdk/go/transport"
)

// observed is what is measured, traced and logged of one request. The goroutine
// that has the request writes it: the receiving one until the request is in its
// session's queue, then the session's.
type observed struct {
	session uint32 // number of its session; 0 for none
	begun   time.Time
	queued  time.Time // zero before it waits
	waited  time.Duration
	running bool
	runs    int // for a loop
	tokens  int // for a loop, over all sequences

	ctx   context.Context // with span; nil without tracing
	span  transport.Span  // of the request
	stage transport.Span  // of its queueing, run or send
}

// fieldSession and fieldTraceparent are the same in every control message that
// has them; fieldRun is the Run in a Loop.
const (
	fieldSession     = 1
	fieldRun         = 1
	fieldTraceparent = 13
)

// arrived is called with the control message of the request's first frame. It
// reads two of its fields before anything is decoded, so a refused request is
// observed like any other.
func (st *stream) arrived(control []byte) {
	session, traceparent := peek(control)
	st.seen.session = session
	tracer := st.c.s.opts.Tracer
	if tracer == nil {
		return
	}
	ctx := st.ctx
	if traceparent != "" {
		ctx = tracer.Continue(ctx, traceparent)
	}
	st.seen.ctx, st.seen.span = tracer.Start(ctx, "genie.worker/"+st.typ.String(), transport.SpanServer, //nolint:fatcontext // it is the request's own, made once
		slog.Uint64("genie.connection", st.c.id), slog.Uint64("genie.session", uint64(session)), slog.Uint64("genie.request", st.id))
}

// peek finds the session and the traceparent in a control message, or in the
// Run that is the first field of a Loop. The decoder refuses malformed
// messages.
func peek(control []byte) (session uint32, traceparent string) {
	for len(control) > 0 {
		num, typ, n := protowire.ConsumeTag(control)
		if n < 0 {
			return session, traceparent
		}
		value := control[n:]
		if n = protowire.ConsumeFieldValue(num, typ, value); n < 0 {
			return session, traceparent
		}
		control, value = value[n:], value[:n]
		switch {
		case num == fieldSession && typ == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(value)
			session = uint32(v)
		case num == fieldRun && typ == protowire.BytesType:
			run, _ := protowire.ConsumeBytes(value)
			if num, typ, n := protowire.ConsumeTag(run); n > 0 && num == fieldSession && typ == protowire.VarintType {
				v, _ := protowire.ConsumeVarint(run[n:])
				session = uint32(v)
			}
		case num == fieldTraceparent && typ == protowire.BytesType:
			if v, _ := protowire.ConsumeBytes(value); len(v) <= transport.TraceparentLen {
				traceparent = string(v)
			}
		}
	}
	return session, traceparent
}

// waits is called before the request goes into a queue, leaves when it could
// not.
func (st *stream) waits() {
	st.seen.queued = time.Now()
	st.c.s.meter.Waiting.Add(1)
	st.stage("queue")
}

func (st *stream) leaves() {
	if !st.seen.queued.IsZero() {
		st.c.s.meter.Waiting.Add(-1)
	}
	st.stageEnded(nil)
}

// starts is called when the request begins.
func (st *stream) starts() {
	m := st.c.s.meter
	if !st.seen.queued.IsZero() {
		st.seen.waited = time.Since(st.seen.queued)
		m.Waiting.Add(-1)
		m.QueueWait.Observe(st.seen.waited)
	}
	m.Running.Add(1)
	st.seen.running = true
	st.stageEnded(nil)
	st.stage("run")
}

// looped is called after each run of a loop, with the number of sequences that
// got a token and the engine's time.
func (st *stream) looped(tokens int, d time.Duration) {
	m := st.c.s.meter
	m.LoopRun.Observe(d)
	m.LoopRuns.Add(1)
	m.Tokens.Add(int64(tokens))
	st.seen.runs++
	st.seen.tokens += tokens
}

// sends is called when the request is done and its answer is about to be sent.
func (st *stream) sends(err error) {
	if st.seen.stage != nil && st.seen.runs > 0 {
		st.seen.stage.Set(slog.Int("genie.runs", st.seen.runs), slog.Int("genie.tokens", st.seen.tokens))
	}
	st.stageEnded(err)
	if err == nil {
		st.stage("send")
	}
}

// ends is called once, when the request has been answered or given up.
func (st *stream) ends(err error) {
	m := st.c.s.meter
	took := time.Since(st.seen.begun)
	if st.seen.running {
		m.Running.Add(-1)
	}
	m.Request(st.typ, took, err)
	if errors.Is(err, errDraining) {
		m.RequestsHandedBack.Add(1)
	}
	st.stageEnded(err)
	if st.seen.span != nil {
		st.seen.span.End(err)
	}
	if st.c.log.Enabled(context.Background(), slog.LevelDebug) {
		st.logger().Debug("request", "took", took, "waited", st.seen.waited, "error", err)
	}
}

// stage begins the span of a part of the request.
func (st *stream) stage(name string) {
	if st.seen.span != nil {
		_, st.seen.stage = st.c.s.opts.Tracer.Start(st.seen.ctx, name, transport.SpanInternal)
	}
}

func (st *stream) stageEnded(err error) {
	if st.seen.stage != nil {
		st.seen.stage.End(err)
		st.seen.stage = nil
	}
}

// logger names the connection, the session and the request in every line. It is
// made when there is a line to write.
func (st *stream) logger() *slog.Logger {
	return st.c.log.With("session", st.seen.session, "request", st.id, "type", st.typ.String())
}

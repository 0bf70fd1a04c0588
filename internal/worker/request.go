package worker

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// request reads a control message, checks it against the announced payload, and
// returns the task. The payload goes to the stream's arrival or upload.
func (st *stream) request(h wire.Header, control []byte) (*task, error) {
	switch h.Type {
	case wire.TypeRun:
		return st.run(h, control)
	case wire.TypeLoop:
		return st.loop(h, control)
	case wire.TypePrepare:
		return st.prepare(h, control)
	case wire.TypeProve:
		return st.prove(h, control)
	case wire.TypePutWeight:
		return st.putWeight(h, control)
	case wire.TypeDeliver:
		return st.deliver(h, control)
	default:
		if h.Payload != 0 || h.More() {
			return nil, fmt.Errorf("%w: %v with a payload", transport.ErrProtocol, h.Type)
		}
		return st.simple(h, control)
	}
}

// decode reads a control message.
func decode(control []byte, m proto.Message) error {
	if err := proto.Unmarshal(control, m); err != nil {
		return fmt.Errorf("%w: malformed %s", transport.ErrProtocol, m.ProtoReflect().Descriptor().Name())
	}
	return nil
}

// total checks the length that a request claims for its payload.
func (st *stream) total(h wire.Header, claimed, want uint64) error {
	if !h.More() && claimed == 0 {
		claimed = h.Payload
	}
	if claimed != want || h.Payload > want || !h.More() && h.Payload != want {
		return fmt.Errorf("%w: %v with a payload of %d bytes, it must be %d", transport.ErrProtocol, h.Type, claimed, want)
	}
	if limit := st.c.s.opts.MaxMessage; want > limit {
		return fmt.Errorf("%w: %v with a payload of %d bytes, the limit is %d", transport.ErrLimit, h.Type, want, limit)
	}
	return nil
}

func nothing() {}

// simple handles the requests without payload.
func (st *stream) simple(h wire.Header, control []byte) (*task, error) {
	c := st.c
	switch h.Type {
	case wire.TypeStats:
		return c.askStats(control)
	case wire.TypeOpenSession:
		var m wirepb.OpenSession
		if err := decode(control, &m); err != nil {
			return nil, err
		}
		return &task{free: nothing, do: func(ctx context.Context) (answer, error) { return c.openSession(ctx, &m) }}, nil
	case wire.TypeCloseSession:
		var m wirepb.CloseSession
		if err := decode(control, &m); err != nil {
			return nil, err
		}
		return c.closeSession(m.GetSession())
	case wire.TypeReset:
		var m wirepb.Reset
		if err := decode(control, &m); err != nil {
			return nil, err
		}
		st.bound(m.GetDeadlineMs())
		t, err := c.inSession(m.GetSession(), func(s *session) (answer, error) {
			s.es.Reset()
			return answer{}, nil
		})
		if t != nil {
			t.seq = m.GetSeq()
		}
		return t, err
	case wire.TypeRead:
		var m wirepb.Read
		if err := decode(control, &m); err != nil {
			return nil, err
		}
		st.bound(m.GetDeadlineMs())
		s, err := c.session(m.GetSession())
		if err != nil {
			return nil, err
		}
		return &task{session: s, free: nothing, do: func(ctx context.Context) (answer, error) { return s.read(ctx, m.GetHandle()) }}, nil
	case wire.TypeTicket:
		return st.askTicket(control)
	case wire.TypeSend:
		return st.send(control)
	case wire.TypeRelease:
		var m wirepb.Release
		if err := decode(control, &m); err != nil {
			return nil, err
		}
		s, err := c.session(m.GetSession())
		if err != nil {
			return nil, err
		}
		return &task{free: nothing, noAnswer: true, do: func(context.Context) (answer, error) {
			s.release(m.GetHandles())
			return answer{}, nil
		}}, nil
	default:
		return nil, fmt.Errorf("%w: unknown or misplaced message %v", transport.ErrProtocol, h.Type)
	}
}

// inSession makes a task that waits for its turn in a session.
func (c *conn) inSession(num uint32, do func(*session) (answer, error)) (*task, error) {
	s, err := c.session(num)
	if err != nil {
		return nil, err
	}
	return &task{session: s, free: nothing, do: func(context.Context) (answer, error) { return do(s) }}, nil
}

// askStats reads Stats. A profile waits for its session's turn.
func (c *conn) askStats(control []byte) (*task, error) {
	var m wirepb.Stats
	if err := decode(control, &m); err != nil {
		return nil, err
	}
	if !m.GetAskProfile() {
		return &task{free: nothing, do: func(context.Context) (answer, error) { return answer{control: c.stats()}, nil }}, nil
	}
	return c.inSession(m.GetSession(), func(s *session) (answer, error) {
		p, err := s.plan(m.GetPlan())
		if err != nil {
			return answer{}, err
		}
		st := c.stats()
		st.Profile = wire.ProfileMessage(s.es.Profile(p.program))
		return answer{control: st}, nil
	})
}

// stats is what the worker has done.
func (c *conn) stats() *wirepb.Stats {
	st := c.s.Stats()
	return &wirepb.Stats{
		Pid: uint32(os.Getpid()), Cpu: st.CPU, Runs: st.Runs, Ops: st.Ops, Sessions: st.Sessions, Plans: st.Plans,
		PlansReceived: st.PlansSent, Weights: st.Weights, WeightBytes: st.WeightBytes,
		WeightsReceived: st.WeightsSent, StateBytes: st.StateBytes, ScratchBytes: st.ScratchBytes,
		Batches: st.Batches, BatchedRuns: st.BatchedRuns,
		PeakRssBytes: st.PeakRSS, MemoryUsedBytes: st.MemoryUsed, MemoryLimitBytes: st.MemoryLimit, PackedBytes: st.PackedBytes,
		RetainedBytes: st.RetainedBytes, StagingBytes: st.StagingBytes, PlanBytes: st.PlanBytes, BufferBytes: st.BufferBytes, WeightEvictions: st.WeightEvictions,
		CacheHits: st.CacheHits, CacheMisses: st.CacheMisses, CacheBytes: st.CacheBytes,
		CacheEntries: st.CacheEntries, CacheEvictions: st.CacheEvictions, UploadsResumed: st.UploadsResumed,
		References: st.References, ReferenceNs: int64(st.ReferenceTime),
	}
}

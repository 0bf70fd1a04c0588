package cluster_test

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/genie-sdk/go/transport"
)

// errPlanted is a planted fault.
var errPlanted = errors.New("planted")

// faulty is an executor whose runs fail when they are told to.
type faulty struct {
	transport.Executor
	fail     atomic.Pointer[func() error] // asked before each run
	failSend atomic.Pointer[func() error] // asked before a value is sent
}

// set plants a fault; nil takes it away.
func (x *faulty) set(fail func() error) {
	if fail == nil {
		x.fail.Store(nil)
		return
	}
	x.fail.Store(&fail)
}

func (x *faulty) NewSession(ctx context.Context) (transport.Session, error) {
	s, err := x.Executor.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	return &faultySession{s, x}, nil
}

type faultySession struct {
	transport.Session
	x *faulty
}

func (s *faultySession) Run(ctx context.Context, call transport.Call) (transport.Result, error) {
	if fail := s.x.fail.Load(); fail != nil {
		if err := (*fail)(); err != nil {
			return transport.Result{}, err
		}
	}
	return s.Session.Run(ctx, call)
}

func (s *faultySession) Rewind(ctx context.Context, to ...transport.StateLength) error {
	return s.Session.(transport.Rewinder).Rewind(ctx, to...)
}

func (s *faultySession) Ticket(ctx context.Context, spec transport.TicketSpec) (transport.Ticket, error) {
	return s.Session.(transport.Receiver).Ticket(ctx, spec)
}

func (s *faultySession) PeerID(ctx context.Context) (transport.PeerID, error) {
	return s.Session.(transport.Sender).PeerID(ctx)
}

func (s *faultySession) Send(ctx context.Context, h transport.Handle, t transport.Ticket) error {
	if fail := s.x.failSend.Load(); fail != nil {
		if err := (*fail)(); err != nil {
			return err
		}
	}
	return s.Session.(transport.Sender).Send(ctx, h, t)
}

func (s *faultySession) SendState(ctx context.Context, name string, axis, start, stop int, t transport.Ticket) error {
	return s.Session.(transport.Sender).SendState(ctx, name, axis, start, stop, t)
}

package worker_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
)

// TestDetachedGivesBack holds a session whose connection is lost: the memory
// for its next inputs, which could not be reclaimed meanwhile, is not held with
// it.
func TestDetachedGivesBack(t *testing.T) {
	w := workertest.Start(t, nil)
	p := greeted(t, w)
	p.keyed(aKey)
	p.sum(1)
	require.Positive(t, w.Server.Staged(), "idle, it keeps the memory")
	require.NoError(t, p.wc.Close())
	require.Eventually(t, func() bool { return w.Server.Detached() == 1 && w.Server.Staged() == 0 }, 5*time.Second, time.Millisecond)
	q := greeted(t, w)
	require.NoError(t, q.join(aKey, true))
	require.Equal(t, floats(202, 402), q.sum(2))
}

// TestRememberedAnswersCount verifies that the answer which a session remembers
// counts against the memory budget, and is freed with the session.
func TestRememberedAnswersCount(t *testing.T) {
	w := workertest.Start(t, nil)
	before := int64(0) // of connection and session
	remembered := func() int64 { return w.Engine.Memory().Held()[budget.Buffers] - before }
	ex := recovering(t, "tcp", w.TCP)
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	ref, err := s.Prepare(t.Context(), growing(1, true, plan.Download), nil, nil)
	require.NoError(t, err)
	run := func(past, rows int) error {
		_, err := s.Run(t.Context(), transport.Call{Plan: ref, Bindings: []int{past, rows}, Inputs: []transport.Input{{Data: make([]byte, 4*rows)}}})
		return err
	}
	// What the request itself took goes once its answer is sent, and the control
	// message is remembered too.
	remembers := func(payload int64) {
		require.Eventually(t, func() bool { return remembered() >= payload && remembered() < payload+1000 }, 5*time.Second, time.Millisecond, "%d", payload)
	}
	before = remembered()
	require.NoError(t, run(0, 1000))
	remembers(4000)
	require.NoError(t, run(1000, 1000))
	remembers(8000)
	require.NoError(t, run(2000, 1))
	remembers(8004)
	require.NoError(t, run(2001, 1<<18))
	remembers(8004) // an answer above 1 MiB is not retained
	require.NoError(t, s.Close())
	require.Eventually(t, func() bool { return remembered() < 0 }, 5*time.Second, time.Millisecond, "with the session")
}

// TestRetainedLimit retains as many values as a session may, and one run more.
func TestRetainedLimit(t *testing.T) {
	const each = 4096
	p, _ := counter()
	p.Values[1] = plan.Value{Kind: plan.KindConst, Name: "w", Spec: p.Values[1].Spec, Buffer: plan.NoBuffer, Const: floats(100, 200)}
	p.Outputs = nil
	for i := range each {
		p.Outputs = append(p.Outputs, plan.Output{Name: string(rune('a'+i%26)) + time.Duration(i).String(), Value: 3, Place: plan.Retain, Cause: plan.CauseActivation})
	}
	w := workertest.Start(t, nil)
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	defer func() { _ = ex.Close() }()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	ref, err := s.Prepare(t.Context(), p, nil, nil)
	require.NoError(t, err)
	var last transport.Result
	run := func() error {
		res, err := s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(1, 1)}}})
		if err == nil {
			last = res
		}
		return err
	}
	for range wire.MaxRetained / each {
		require.NoError(t, run(), "up to the limit")
	}
	require.ErrorIs(t, run(), transport.ErrLimit)
	for _, o := range last.Outputs {
		require.NoError(t, s.Release(t.Context(), o.Handle))
	}
	require.NoError(t, run(), "what was released makes room")
}

// stuck is a listener whose connections block in Close until released.
type stuck struct {
	net.Listener
	closing chan struct{}
	release chan struct{}
}

func (l stuck) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return stuckConn{c, l}, nil
}

type stuckConn struct {
	net.Conn
	l stuck
}

func (c stuckConn) Close() error {
	select {
	case c.l.closing <- struct{}{}:
	default:
	}
	<-c.l.release
	return c.Conn.Close()
}

// TestSlowCloseHoldsNobody takes a session over from a connection that takes its
// time to close: others open sessions meanwhile.
func TestSlowCloseHoldsNobody(t *testing.T) {
	w := workertest.Start(t, nil)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := stuck{inner, make(chan struct{}, 1), make(chan struct{})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = w.Server.Serve(l) })
	defer serving.Wait()
	defer func() { _ = inner.Close() }()
	var once sync.Once
	let := func() { once.Do(func() { close(l.release) }) }
	defer let()

	slow := &workertest.Worker{}
	slow.TCP = inner.Addr().String()
	p := greeted(t, slow)
	p.keyed(aKey)
	p.sum(1)
	q, joined := greeted(t, w), make(chan error, 1)
	go func() { joined <- q.join(aKey, true) }()
	<-l.closing

	other, opened := greeted(t, w), make(chan error, 1)
	key := append([]byte{1}, aKey...)
	go func() { opened <- other.join(key, false) }()
	select {
	case err := <-opened:
		require.NoError(t, err)
	case <-time.After(5 * time.Second):
		require.Fail(t, "no session can be opened while a connection closes")
	}
	let()
	require.NoError(t, <-joined)
	require.Equal(t, floats(202, 402), q.sum(2))
}

// TestReleasesAreNotLost releases values while the session's queue is full:
// these requests have no answers, so they would never be retried.
func TestReleasesAreNotLost(t *testing.T) {
	const values = 2000
	hold, began := make(chan struct{}), make(chan struct{})
	block := false
	w := hook(t, func(context.Context) error {
		if block {
			block = false
			close(began)
			<-hold
		}
		return nil
	})
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	defer func() { _ = ex.Close() }()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	p, weights := counter()
	ref, err := s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err)
	run := func() (transport.Result, error) {
		return s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(1, 1)}}})
	}
	var handles []transport.Handle
	for range values {
		res, err := run()
		require.NoError(t, err)
		for _, o := range res.Outputs {
			if !o.Handle.IsZero() {
				handles = append(handles, o.Handle)
			}
		}
	}
	require.Len(t, handles, values)
	require.Positive(t, w.Engine.Stats().RetainedBytes)
	block = true
	running := make(chan transport.Result, 1)
	go func() {
		res, _ := run()
		running <- res
	}()
	<-began
	for _, h := range handles {
		require.NoError(t, s.Release(t.Context(), h))
	}
	close(hold)
	res := <-running
	for _, o := range res.Outputs {
		if !o.Handle.IsZero() {
			require.NoError(t, s.Release(t.Context(), o.Handle))
		}
	}
	require.Eventually(t, func() bool { return w.Engine.Stats().RetainedBytes == 0 }, 5*time.Second, time.Millisecond)
}

package worker_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
)

// soakFigures counts what clients did.
type soakFigures struct {
	Requests, Tokens, Wrong               int64
	Texts, Cancels, Cuts, Stalls, Reopens int64
	Rejoins, Lapses                       int64            // sessions with a key: connections made again, leases that lapsed
	Written, Rebuilt                      int64            // texts of package genie, sessions rebuilt for them
	Errors                                map[string]int64 // by cause
	Unexpected                            []string         // errors that their request may not have
}

func (f *soakFigures) add(o *soakFigures) {
	f.Requests += o.Requests
	f.Tokens += o.Tokens
	f.Wrong += o.Wrong
	f.Texts += o.Texts
	f.Cancels += o.Cancels
	f.Cuts += o.Cuts
	f.Stalls += o.Stalls
	f.Reopens += o.Reopens
	f.Rejoins += o.Rejoins
	f.Lapses += o.Lapses
	f.Written += o.Written
	f.Rebuilt += o.Rebuilt
	if f.Errors == nil {
		f.Errors = map[string]int64{}
	}
	for k, n := range o.Errors {
		f.Errors[k] += n
	}
	f.Unexpected = append(f.Unexpected, o.Unexpected...)
}

// soakClient is one client that does everything that clients do.
type soakClient struct {
	how, addr string
	want      [][]int32
	rng       *rand.Rand

	mu  sync.Mutex
	fig soakFigures
}

// errWrong is a token that the reference does not have.
var errWrong = errors.New("a wrong token")

// errEnough is a caller's own reason to end a loop.
var errEnough = errors.New("enough")

// snapshot copies the figures.
func (c *soakClient) snapshot() soakFigures {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fig
	f.Errors = maps.Clone(f.Errors)
	return f
}

// note counts a request and holds its error against what it may be.
func (c *soakClient) note(count *int64, err error, may ...error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fig.Requests++
	if count != nil {
		*count++
	}
	if err == nil {
		return
	}
	if c.fig.Errors == nil {
		c.fig.Errors = map[string]int64{}
	}
	name := "untyped"
	for _, e := range append(may, soakCauses...) {
		if errors.Is(err, e) {
			name = e.Error()
			break
		}
	}
	c.fig.Errors[name]++
	for _, e := range may {
		if errors.Is(err, e) {
			return
		}
	}
	if errors.Is(err, errWrong) {
		c.fig.Wrong++
	}
	if len(c.fig.Unexpected) < 5 {
		c.fig.Unexpected = append(c.fig.Unexpected, fmt.Sprintf("%s: %v", c.how, err))
	}
}

var soakCauses = []error{
	errWrong, errEnough, context.Canceled, context.DeadlineExceeded, transport.ErrUnreachable, transport.ErrShape, transport.ErrState,
	transport.ErrSessionLost, transport.ErrLimit, transport.ErrClosed, transport.ErrStaleHandle, transport.ErrProtocol, transport.ErrCorrupt, transport.ErrInternal,
}

// work continues until stop is closed.
func (c *soakClient) work(stop <-chan struct{}) {
	for ctx := context.Background(); ; {
		if c.rng.IntN(4) == 0 {
			c.keyed(ctx, stop)
		} else {
			c.plain(ctx, stop)
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// plain uses a connection that is not made again, and is reset now and then.
func (c *soakClient) plain(ctx context.Context, stop <-chan struct{}) {
	cutAfter := int64(-1)
	if c.rng.IntN(3) == 0 {
		cutAfter = c.rng.Int64N(2500)
	}
	ex, conn, err := c.dial(ctx, cutAfter)
	if err == nil {
		err = c.connected(ctx, ex, stop)
		_ = ex.Close()
	}
	if conn != nil && conn.cut.Load() {
		c.note(&c.fig.Cuts, err, transport.ErrUnreachable)
	} else {
		c.note(&c.fig.Reopens, err)
	}
}

// connected uses a connection for a while; its error is that of a request that
// should have succeeded.
func (c *soakClient) connected(ctx context.Context, ex transport.Executor, stop <-chan struct{}) error {
	for range 1 + c.rng.IntN(4) {
		s, err := newSoakSession(ctx, ex)
		if err != nil {
			return err
		}
		for range 1 + c.rng.IntN(12) {
			select {
			case <-stop:
				return s.Close()
			default:
			}
			if err := c.request(ctx, s); err != nil {
				return err
			}
			if err := s.Reset(ctx); err != nil {
				return err
			}
		}
		if c.rng.IntN(3) > 0 { // the others end with their connection
			if err := s.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *soakClient) request(ctx context.Context, s *soakSession) error {
	first, runs := c.rng.IntN(soakWords), 1+c.rng.IntN(soakLongest)
	at := c.rng.IntN(runs)
	each := func(i int, token int32) error { return c.said(first, i, token) }
	switch c.rng.IntN(10) {
	case 0: // a caller that gives up
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		err := s.loop(ctx, first, runs, func(i int, token int32) error {
			if i == at {
				cancel()
			}
			return each(i, token)
		})
		c.note(&c.fig.Cancels, err, context.Canceled, transport.ErrUnreachable)
		return lost(err)
	case 1: // a caller that has enough
		err := s.loop(ctx, first, runs, func(i int, token int32) error {
			if i == at {
				return errEnough
			}
			return each(i, token)
		})
		c.note(&c.fig.Cancels, err, errEnough, transport.ErrUnreachable)
		return lost(err)
	case 2: // a caller that does not read for a while
		err := s.loop(ctx, first, runs, func(i int, token int32) error {
			if i == at {
				<-time.After(time.Duration(c.rng.IntN(20)) * time.Millisecond)
			}
			return each(i, token)
		})
		c.note(&c.fig.Stalls, err, transport.ErrUnreachable)
		return err
	case 3: // a mistake
		_, err := s.Run(ctx, soakCall(s.ref, 7, 1))
		c.note(nil, err, transport.ErrState, transport.ErrUnreachable)
		if err == nil {
			return errors.New("a cache was found with rows that it does not have")
		}
		return lost(err)
	case 4, 5: // token by token
		token := int32(first)
		for past := range min(runs, 12) {
			res, err := s.Run(ctx, soakCall(s.ref, past, token))
			if err == nil {
				token = int32(binary.LittleEndian.Uint32(res.Outputs[0].Tensor.Data))
				err = each(past, token)
			}
			c.note(nil, err, transport.ErrUnreachable)
			if err != nil {
				return err
			}
		}
		return nil
	default:
		err := s.loop(ctx, first, runs, each)
		c.note(&c.fig.Texts, err, transport.ErrUnreachable)
		return err
	}
}

// lost is the error when the connection is.
func lost(err error) error {
	if errors.Is(err, transport.ErrUnreachable) {
		return err
	}
	return nil
}

// said holds a token against the reference.
func (c *soakClient) said(first, i int, token int32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fig.Tokens++
	if want := c.want[first][i]; token != want {
		return fmt.Errorf("%w: %d at %d after %d, the reference has %d", errWrong, token, i, first, want)
	}
	return nil
}

// dial connects; the connection is reset in the middle of whatever it is
// writing after cutAfter bytes, if that is not negative.
func (c *soakClient) dial(ctx context.Context, cutAfter int64) (transport.Executor, *resetConn, error) {
	var conn *resetConn
	dial := func(ctx context.Context, addr string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		conn = &resetConn{Conn: nc, after: cutAfter}
		return conn, nil
	}
	var ex transport.Executor
	var err error
	if c.how == "grpc" {
		ex, err = rpc.Dial(ctx, c.addr, rpc.WithDialer(dial))
	} else {
		ex, err = tcp.Dial(ctx, c.addr, tcp.WithDialer(dial))
	}
	return ex, conn, err
}

// resetConn is reset after a number of bytes written.
type resetConn struct {
	net.Conn
	after int64 // negative: never
	wrote int64
	cut   atomic.Bool
}

func (c *resetConn) Write(b []byte) (int, error) {
	left := c.after - c.wrote
	if c.after < 0 || int64(len(b)) <= left {
		c.wrote += int64(len(b))
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:max(left, 0)])
	c.wrote += int64(n)
	c.cut.Store(true)
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
	return n, io.ErrClosedPipe
}

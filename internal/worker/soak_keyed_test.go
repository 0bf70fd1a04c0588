package worker_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// The lease of the soak's worker, and how long a client that lets it lapse stays
// away.
const (
	soakLease = 2 * time.Second
	soakAway  = soakLease * 4 / 3
)

// breaking dials connections each of which is reset after a random number of
// bytes; the second one, where that is asked for, comes after the lease.
type breaking struct {
	least, spread int64
	lapses        bool

	mu    sync.Mutex
	rng   *rand.Rand
	dials atomic.Int64
}

func newBreaking(rng *rand.Rand, least, spread int64) *breaking {
	return &breaking{least: least, spread: spread, rng: rand.New(rand.NewPCG(rng.Uint64(), 5))}
}

func (b *breaking) dial(ctx context.Context, addr string) (net.Conn, error) {
	if b.dials.Add(1) == 2 && b.lapses {
		select {
		case <-time.After(soakAway):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return &resetConn{Conn: nc, after: b.least + b.rng.Int64N(b.spread)}, nil
}

// joins is how often a connection was made again.
func (b *breaking) joins() int64 { return max(b.dials.Load()-1, 0) }

// keyed uses one session over as many connections as it takes: what is lost with
// one of them is made again on the next and done once, so that nothing fails,
// unless the lease lapses.
func (c *soakClient) keyed(ctx context.Context, stop <-chan struct{}) {
	b := newBreaking(c.rng, 400, 3000)
	b.lapses = c.rng.IntN(8) == 0
	ex, err := c.dialKeyed(ctx, b)
	if err != nil {
		c.note(nil, err, transport.ErrUnreachable) // the first connection is not made again
		return
	}
	defer func() {
		c.mu.Lock()
		c.fig.Rejoins += b.joins()
		c.mu.Unlock()
		_ = ex.Close()
	}()
	var s *soakSession
	for range 2 + c.rng.IntN(12) {
		select {
		case <-stop:
			return
		default:
		}
		if s == nil {
			if s, err = newSoakSession(ctx, ex); err != nil {
				c.lapsed(b, err)
				return
			}
		}
		err := c.keyedRequest(ctx, s, b)
		if errors.Is(err, transport.ErrSessionLost) { // the executor continues, with another session
			_ = s.Close()
			s = nil
		} else if err != nil {
			return
		}
	}
	if s != nil && c.rng.IntN(2) == 0 { // the others are held until their lease is over
		_ = s.Close()
	}
}

// keyedRequest resets the session and generates: token by token, which survives
// a lost connection, or in a loop, which ends with its connection.
func (c *soakClient) keyedRequest(ctx context.Context, s *soakSession, b *breaking) error {
	err := s.Reset(ctx)
	if c.lapsed(b, err); err != nil {
		return err
	}
	first, runs := c.rng.IntN(soakWords), 1+c.rng.IntN(soakLongest)
	if c.rng.IntN(4) == 0 {
		err := s.loop(ctx, first, runs, func(i int, token int32) error { return c.said(first, i, token) })
		c.note(&c.fig.Texts, err, transport.ErrSessionLost, transport.ErrUnreachable)
		if errors.Is(err, errWrong) {
			return err
		}
		return nil
	}
	token := int32(first)
	for past := range min(runs, 30) {
		res, err := s.Run(ctx, soakCall(s.ref, past, token))
		if err == nil {
			token = int32(binary.LittleEndian.Uint32(res.Outputs[0].Tensor.Data))
			err = c.said(first, past, token)
		}
		if c.lapsed(b, err); err != nil {
			return err
		}
	}
	return nil
}

// soakStory is a text of a small language model, by the number of its prompt.
func soakStory(prompt int) genie.GenerateRequest {
	return genie.GenerateRequest{
		Prompts: [][]int{{1 + prompt, 2, 3}, {7}}, MaxNew: 24, Temperature: .9, TopK: 40, Seed: int64(prompt), IgnoreEOS: true,
	}
}

// soakPrompts is the number of such texts.
const soakPrompts = 4

// soakWriter is a client of package genie, which recovers from whatever its
// connections do.
type soakWriter struct {
	soakClient

	url   string
	model *gpt2.Model
	texts [][][]int // by prompt
}

// soakModel loads the model and writes each text here.
func soakModel(ctx context.Context) (*gpt2.Model, [][][]int, error) {
	m, err := gpt2.Load(ctx, "../../testdata/gpt2/basic", gpt2.LoadOptions{})
	if err != nil {
		return nil, nil, err
	}
	c, err := genie.Open(ctx, "local:")
	if err != nil {
		return nil, nil, errors.Join(err, m.Close())
	}
	defer func() { _ = c.Close() }()
	texts := make([][][]int, soakPrompts)
	for i := range texts {
		out, err := soakWrite(ctx, c, m, i)
		if err != nil {
			return nil, nil, errors.Join(err, m.Close())
		}
		texts[i] = out.Tokens
	}
	return m, texts, nil
}

func soakWrite(ctx context.Context, c *genie.Client, m *gpt2.Model, prompt int) (*genie.Generation, error) {
	s, err := c.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	return genie.Generate(ctx, s, m.LM, soakStory(prompt))
}

// work writes texts until stop is closed.
func (w *soakWriter) work(stop <-chan struct{}) {
	for ctx := context.Background(); ; {
		b := newBreaking(w.rng, 1500, 9000)
		b.lapses = w.rng.IntN(6) == 0
		c, err := genie.Open(ctx, w.url, genie.WithDialer(b.dial), genie.WithReconnect(30*time.Second))
		for range 2 + w.rng.IntN(6) {
			if err != nil {
				break
			}
			err = w.write(ctx, c)
		}
		w.note(nil, err)
		if c != nil {
			_ = c.Close()
		}
		w.mu.Lock()
		w.fig.Rejoins += b.joins()
		w.mu.Unlock()
		select {
		case <-stop:
			return
		default:
		}
	}
}

func (w *soakWriter) write(ctx context.Context, c *genie.Client) error {
	prompt := w.rng.IntN(soakPrompts)
	out, err := soakWrite(ctx, c, w.model, prompt)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fig.Written++
	w.fig.Rebuilt += int64(out.Rebuilt)
	for i, tokens := range out.Tokens {
		w.fig.Tokens += int64(len(tokens))
		if !slices.Equal(tokens, w.texts[prompt][i]) {
			return errWrong
		}
	}
	return nil
}

// lapsed counts a request that may have come after the lease.
func (c *soakClient) lapsed(b *breaking, err error) {
	if b.lapses && errors.Is(err, transport.ErrSessionLost) {
		c.note(&c.fig.Lapses, err, transport.ErrSessionLost)
		return
	}
	c.note(nil, err)
}

func (c *soakClient) dialKeyed(ctx context.Context, b *breaking) (transport.Executor, error) {
	const limit = 30 * time.Second
	if c.how == "grpc" {
		return rpc.Dial(ctx, c.addr, rpc.WithDialer(b.dial), rpc.WithReconnect(limit))
	}
	return tcp.Dial(ctx, c.addr, tcp.WithDialer(b.dial), tcp.WithReconnect(limit))
}

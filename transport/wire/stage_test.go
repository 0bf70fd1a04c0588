package wire

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport/plan"
)

// slowPipe reads the buffers of frames after WriteBuffers has returned, as gRPC
// does, several frames later than they were written.
type slowPipe struct {
	memoryPipe
	mu   sync.Mutex
	late chan func()
}

func newSlowPipe(behind int) (p *slowPipe, wait func()) {
	p = &slowPipe{late: make(chan func(), behind)}
	var reading sync.WaitGroup
	reading.Go(func() {
		for read := range p.late {
			read()
		}
	})
	return p, func() {
		close(p.late)
		reading.Wait()
	}
}

func (p *slowPipe) WriteBuffers(bufs [][]byte, hold *Hold) (n int, err error) {
	head := bytes.Clone(bufs[0])
	rest := append([][]byte(nil), bufs[1:]...)
	n = len(head)
	for _, b := range rest {
		n += len(b)
		hold.Add()
	}
	p.late <- func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.Write(head)
		for _, b := range rest {
			p.Write(b)
			hold.Done()
		}
	}
	return n, nil
}

// TestViewsAreSentFromCopies sends parts of mapped files, which are changed as
// soon as Send returns, between parts that are none.
func TestViewsAreSentFromCopies(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1, copyLimit, copyLimit + 1, ChunkSize, ChunkSize + 1, 9*ChunkSize + 7} {
		for _, behind := range []int{0, 1, 4} {
			data := random(r, n)
			mapped := bytes.Clone(data)
			segs := split(r, mapped, plan.CauseWeights)
			for i := range segs {
				if r.IntN(3) > 0 {
					segs[i].View = "part of a file"
				}
			}
			segs = append(segs, Segment{View: "nothing of a file", Cause: plan.CauseKV})
			pipe, wait := newSlowPipe(behind)
			c := NewConn(pipe, nil)
			for range 2 { // the second time with the memory of the first
				copy(mapped, data)
				started, err := c.Send(t.Context(), &Message{Type: TypePutWeight, Stream: 7, Payload: segs})
				require.NoError(t, err)
				require.True(t, started)
				clear(mapped)
			}
			wait()
			for range 2 {
				got := make([]byte, n)
				sink := NewSink([]Segment{{Data: got}})
				for {
					h, _, err := c.Next()
					require.NoError(t, err)
					bad, err := c.ReadPayload(h, sink, plan.CauseControl)
					require.NoError(t, errors.Join(bad, err))
					if !h.More() {
						break
					}
				}
				require.True(t, bytes.Equal(data, got))
			}
			require.NoError(t, c.Close())
		}
	}
}

// TestViewsOfACancelledMessage leaves nothing behind.
func TestViewsOfACancelledMessage(t *testing.T) {
	pipe, wait := newSlowPipe(0)
	c := NewConn(pipe, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	started, err := c.Send(ctx, &Message{
		Type: TypePutWeight, Payload: []Segment{{Data: make([]byte, 20*ChunkSize), View: "part of a file"}},
		Sent: func(int) { cancel(gone) },
	})
	require.True(t, started)
	require.ErrorIs(t, err, gone)
	started, err = c.Send(ctx, &Message{Type: TypePutWeight, Payload: []Segment{{Data: make([]byte, ChunkSize), View: "part of a file"}}})
	require.False(t, started)
	require.ErrorIs(t, err, gone)
	wait()
}

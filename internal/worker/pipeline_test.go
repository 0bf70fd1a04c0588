package worker_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/link"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// sendRun asks for a run of session 1 and does not wait.
func (p *peer) sendRun() {
	p.t.Helper()
	p.last++
	p.send(&wire.Message{
		Type: wire.TypeRun, Stream: p.last, Control: &wirepb.Run{Session: 1, Plan: 1},
		Payload: []wire.Segment{{Data: floats(1, 1)}},
	})
}

func remoteError(t *testing.T, control []byte) error {
	var e wirepb.Error
	require.NoError(t, proto.Unmarshal(control, &e))
	return &transport.RemoteError{Code: e.GetCode(), Message: e.GetMessage()}
}

// TestPipelinedInOrder sends many requests of one session without waiting: they
// are answered in order, including a request for a value that a run has
// retained.
func TestPipelinedInOrder(t *testing.T) {
	p := greeted(t, workertest.Start(t, nil))
	p.session()
	const n = 100
	first := p.last + 1
	for range n {
		p.sendRun()
	}
	p.last++
	p.send(&wire.Message{Type: wire.TypeReset, Stream: p.last, Control: &wirepb.Reset{Session: 1}})
	p.sendRun()
	for i := range uint64(n + 2) {
		h, _ := p.next()
		require.Equal(t, first+i, h.Stream)
		require.NotEqual(t, wire.TypeError, h.Type)
	}
}

// TestPipelinedOverALink makes calls of two sessions over a link that delays what
// the client sends: their number does not multiply the delay.
func TestPipelinedOverALink(t *testing.T) {
	profile, err := link.Parse("10g-40ms")
	require.NoError(t, err)
	const calls = 48
	delay := profile.RTT / 2
	for how := range dialers {
		t.Run(how, func(t *testing.T) {
			w := workertest.Start(t, nil)
			l := link.New(profile, 1)
			ex, err := dialers[how](t.Context(), w, l.Dialer(nil))
			require.NoError(t, err)
			defer func() { _ = ex.Close() }()
			s, call := opened(t, ex)
			other, otherCall := opened(t, ex)
			begin := time.Now()
			var wg sync.WaitGroup
			sums := make(chan []byte, 2*calls)
			run := func(s transport.Session, call transport.Call) {
				wg.Go(func() {
					res, err := s.Run(t.Context(), call)
					if err != nil {
						t.Error(err)
						return
					}
					sums <- res.Outputs[0].Tensor.Data
				})
			}
			for range calls {
				run(s, call)
				run(other, otherCall)
			}
			wg.Wait()
			took := time.Since(begin)
			t.Logf("%d calls over a delay of %v in %v", 2*calls, delay, took)
			require.GreaterOrEqual(t, took, delay)
			require.Less(t, took, calls*profile.RTT/2, "each waited for the one before it, half of the time at least")
			// Each session's sum has grown by one call after the other.
			seen := map[string]int{}
			for range 2 * calls {
				seen[string(<-sums)]++
			}
			require.Len(t, seen, calls)
			for i := range calls {
				n := float32(i + 1)
				require.Equal(t, 2, seen[string(floats(100*n, 200*n))])
			}
		})
	}
}

package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/access"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// guarded starts a worker that requires tokens and returns those of two
// identities.
func guarded(t *testing.T, change func(*worker.Options)) (w *workertest.Worker, alice, bob string) {
	t.Helper()
	alice, first, err := access.NewToken("alice")
	require.NoError(t, err)
	bob, second, err := access.NewToken("bob")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(path, []byte(first+"\n"+second+"\n"), 0o600))
	tokens, err := access.Open(path, slog.New(slog.DiscardHandler), access.NewLimiter(nil))
	require.NoError(t, err)
	w = workertest.Start(t, func(o *worker.Options) {
		o.Auth = tokens
		if change != nil {
			change(o)
		}
	})
	return w, alice, bob
}

func TestTokens(t *testing.T) {
	eachWay(t, func(t *testing.T, _ string, dial func(*workertest.Worker, credentials.Client) (transport.Executor, error)) {
		var log logged
		w, alice, bob := guarded(t, func(o *worker.Options) { o.Log = log.logger() })
		file := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(file, []byte(bob+"\n"), 0o600))
		for name, c := range map[string]credentials.Client{"token": {Token: alice}, "token file": {TokenFile: file}} {
			ex, err := dial(w, c)
			require.NoError(t, err, name)
			runs(t, ex)
			require.NoError(t, ex.Close())
		}
		for name, c := range map[string]credentials.Client{"none": {}, "wrong": {Token: alice + "0"}} {
			_, err := dial(w, c)
			require.ErrorIs(t, err, transport.ErrUnauthenticated, name)
			require.ErrorContains(t, err, "127.0.0.1:", name)
			require.NotContains(t, err.Error(), alice, name)
		}
		require.NotContains(t, log.String(), alice)
		require.NotContains(t, log.String(), bob)
		var first string
		for range access.FailedBurst - 2 { // two have failed above
			_, err := dial(w, credentials.Client{Token: "guess"})
			require.ErrorIs(t, err, transport.ErrUnauthenticated)
			first, _, _ = strings.Cut(err.Error(), "127.0.0.1")
		}
		// Further ones wait, and exclude no other client.
		begin := time.Now()
		late := make(chan error, 3)
		for range cap(late) {
			go func() {
				_, err := dial(w, credentials.Client{Token: "guess"})
				late <- err
			}()
		}
		for range 10 {
			ex, err := dial(w, credentials.Client{Token: alice})
			require.NoError(t, err, "the same address")
			require.NoError(t, ex.Close())
		}
		for range cap(late) {
			err := <-late
			require.ErrorIs(t, err, transport.ErrUnauthenticated)
			require.ErrorContains(t, err, first, "nothing more is told")
		}
		require.GreaterOrEqual(t, time.Since(begin), access.FailedDelay)
	})
}

// TestTokenAndCertificate requires both; the token is the identity.
func TestTokenAndCertificate(t *testing.T) {
	ca := workertest.NewCA(t)
	server, client := ca.Issue("worker", nil), ca.Issue("client", nil)
	asked := make(chan string, 1)
	w, alice, _ := guarded(t, func(o *worker.Options) {
		var err error
		o.TLS, err = server.Server()
		require.NoError(t, err)
		o.Quota = func(identity string) worker.Quota {
			asked <- identity
			return worker.Quota{}
		}
	})
	for way, dial := range securely {
		_, err := dial(t.Context(), w, credentials.Client{Files: &client})
		require.ErrorIs(t, err, transport.ErrUnauthenticated, way)
		_, err = dial(t.Context(), w, credentials.Client{Files: &credentials.Files{CA: ca.File}, Token: alice})
		require.ErrorIs(t, err, transport.ErrUnauthenticated, way)
		ex, err := dial(t.Context(), w, credentials.Client{Files: &client, Token: alice})
		require.NoError(t, err, way)
		require.NoError(t, ex.Close())
	}
	require.Equal(t, "alice", <-asked)
}

// TestBeforeHello sends requests, and a Hello that is too long, before the
// client is known.
func TestBeforeHello(t *testing.T) {
	w, alice, _ := guarded(t, nil)
	p := newPeer(t, w)
	p.send(&wire.Message{Type: wire.TypeOpenSession, Stream: 1, Control: &wirepb.OpenSession{Session: 1}})
	p.ended(transport.ErrProtocol)
	p = newPeer(t, w)
	p.send(&wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version, Token: make([]byte, wire.MaxHello)}})
	p.ended(transport.ErrLimit)
	p = newPeer(t, w)
	p.send(&wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version, Token: []byte(alice), Cpu: string(make([]byte, 4<<10))}})
	h, _ := p.next()
	require.Equal(t, wire.TypeHello, h.Type)
}

// as is a peer that has said hello with a token.
func as(t *testing.T, w *workertest.Worker, token string) *peer {
	t.Helper()
	p := newPeer(t, w)
	p.send(&wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version, Token: []byte(token)}})
	h, _ := p.next()
	require.Equal(t, wire.TypeHello, h.Type)
	return p
}

func quotaOf(t *testing.T, err error, what string, limit, used int64) {
	t.Helper()
	require.ErrorIs(t, err, transport.ErrQuota)
	q, ok := errors.AsType[*transport.QuotaError](err)
	require.True(t, ok, err)
	require.Equal(t, what, q.What)
	require.Equal(t, limit, q.Limit)
	require.Equal(t, used, q.Used)
	require.ErrorContains(t, err, what)
}

// onlyAlice bounds one identity of two.
func onlyAlice(q worker.Quota) func(*worker.Options) {
	return func(o *worker.Options) {
		o.Quota = func(identity string) worker.Quota {
			if identity == "alice" {
				return q
			}
			return worker.Quota{}
		}
	}
}

func open(t *testing.T, w *workertest.Worker, way, token string) transport.Executor {
	t.Helper()
	ex, err := securely[way](t.Context(), w, credentials.Client{Token: token})
	require.NoError(t, err)
	t.Cleanup(func() { _ = ex.Close() })
	return ex
}

func TestQuotaOfSessions(t *testing.T) {
	w, alice, bob := guarded(t, onlyAlice(worker.Quota{Sessions: 2}))
	one, two, other := open(t, w, "tcp", alice), open(t, w, "grpc", alice), open(t, w, "tcp", bob)
	first, err := one.NewSession(t.Context())
	require.NoError(t, err)
	_, err = two.NewSession(t.Context())
	require.NoError(t, err, "exactly as many")
	for _, ex := range []transport.Executor{one, two} {
		_, err = ex.NewSession(t.Context())
		quotaOf(t, err, "sessions", 2, 2)
	}
	for range 3 {
		_, err = other.NewSession(t.Context())
		require.NoError(t, err, "another identity has its own")
	}
	require.NoError(t, first.Close())
	_, err = two.NewSession(t.Context())
	require.NoError(t, err)

	// A connection that goes gives back what it had.
	require.NoError(t, two.Close())
	require.Eventually(t, func() bool {
		s, err := one.NewSession(t.Context())
		return err == nil && s != nil
	}, 5*time.Second, time.Millisecond)
}

func TestQuotaOfPlans(t *testing.T) {
	w, alice, _ := guarded(t, onlyAlice(worker.Quota{Plans: 2}))
	one, two := open(t, w, "tcp", alice), open(t, w, "grpc", alice)
	prepare := func(s transport.Session, name string) error {
		p, weights := counter()
		p.Name = name
		_, err := s.Prepare(t.Context(), p, weights, nil)
		return err
	}
	a, err := one.NewSession(t.Context())
	require.NoError(t, err)
	b, err := two.NewSession(t.Context())
	require.NoError(t, err)
	require.NoError(t, prepare(a, "x"))
	require.NoError(t, prepare(b, "x"), "a plan counts in each session")
	quotaOf(t, prepare(a, "y"), "plans", 2, 2)
	require.NoError(t, prepare(a, "x"), "one that is prepared is no other")
	require.NoError(t, b.Close())
	require.NoError(t, prepare(a, "y"))
}

func TestQuotaOfCalls(t *testing.T) {
	began, finish := make(chan struct{}, 2), make(chan struct{})
	w, alice, bob := guarded(t, func(o *worker.Options) {
		onlyAlice(worker.Quota{Calls: 2})(o)
		o.MaxRunning = 4
		o.Engine = &hooked{Engine: o.Engine, run: func(context.Context) error {
			began <- struct{}{}
			<-finish
			return nil
		}}
	})
	ready := func(way, token string) (transport.Session, transport.Call) {
		s, err := open(t, w, way, token).NewSession(t.Context())
		require.NoError(t, err)
		p, weights := counter()
		ref, err := s.Prepare(t.Context(), p, weights, nil)
		require.NoError(t, err)
		return s, transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 0)}}}
	}
	results := make(chan error, 3)
	start := func(s transport.Session, call transport.Call) {
		go func() {
			_, err := s.Run(context.Background(), call)
			results <- err
		}()
		<-began
	}
	start(ready("tcp", alice))
	start(ready("grpc", alice))
	third, call := ready("tcp", alice)
	_, err := third.Run(t.Context(), call)
	quotaOf(t, err, "calls", 2, 2)
	start(ready("tcp", bob))
	close(finish)
	for range 3 {
		require.NoError(t, <-results)
	}
	_, err = third.Run(t.Context(), call)
	require.NoError(t, err)
}

// TestQuotaOfBytes grows the state of a session, retains values, and receives
// inputs, up to the quota and not beyond; all memory returns.
func TestQuotaOfBytes(t *testing.T) {
	const quota = 1 << 20
	w, alice, bob := guarded(t, onlyAlice(worker.Quota{Bytes: quota}))
	for _, tt := range []struct {
		name  string
		rows  int // of a call; 4 bytes each
		place plan.Place
	}{
		{"state", 8 << 10, plan.Download},
		{"kept values", 8 << 10, plan.Retain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ex := open(t, w, "tcp", alice)
			s, err := ex.NewSession(t.Context())
			require.NoError(t, err)
			ref, err := s.Prepare(t.Context(), growing(1, false, tt.place), nil, nil)
			require.NoError(t, err)
			past := 0
			step := func() error {
				_, err := s.Run(t.Context(), transport.Call{
					Plan: ref, Bindings: []int{past, tt.rows}, Inputs: []transport.Input{{Data: make([]byte, 4*tt.rows)}},
				})
				return err
			}
			for err = step(); err == nil; err = step() {
				past += tt.rows
				require.Less(t, past*4, quota)
			}
			q, ok := errors.AsType[*transport.QuotaError](err)
			require.True(t, ok, err)
			require.Equal(t, "bytes", q.What)
			require.Positive(t, past, "the first calls fit")
			require.Greater(t, q.Used+q.Want, int64(quota))
			require.LessOrEqual(t, q.Used, int64(quota))
			require.NoError(t, s.Reset(t.Context()), "the session lives")

			// An input that alone is too large is refused before it comes.
			big, err := ex.NewSession(t.Context())
			require.NoError(t, err)
			ref, err = big.Prepare(t.Context(), growing(1, false, plan.Download), nil, nil)
			require.NoError(t, err)
			_, err = big.Run(t.Context(), transport.Call{
				Plan: ref, Bindings: []int{0, quota/4 + 1}, Inputs: []transport.Input{{Data: make([]byte, quota+4)}},
			})
			require.ErrorIs(t, err, transport.ErrQuota)
			require.NoError(t, s.Close())
			require.NoError(t, big.Close())

			// All of it is free again: inputs and state of a quarter each fit, with room
			// to grow, beside what connection, sessions and plan take.
			again, err := ex.NewSession(t.Context())
			require.NoError(t, err)
			ref, err = again.Prepare(t.Context(), growing(1, false, plan.Download), nil, nil)
			require.NoError(t, err)
			const rows = quota / 4 / 4
			_, err = again.Run(t.Context(), transport.Call{
				Plan: ref, Bindings: []int{0, rows}, Inputs: []transport.Input{{Data: make([]byte, 4*rows)}},
			})
			require.NoError(t, err)
			require.NoError(t, again.Close())
		})
	}
	ex := open(t, w, "tcp", bob)
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	ref, err := s.Prepare(t.Context(), growing(1, false, plan.Download), nil, nil)
	require.NoError(t, err)
	_, err = s.Run(t.Context(), transport.Call{
		Plan: ref, Bindings: []int{0, quota}, Inputs: []transport.Input{{Data: make([]byte, 4*quota)}},
	})
	require.NoError(t, err, "another identity has no such quota")
}

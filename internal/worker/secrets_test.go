package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/internal/access"
	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/models"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// marker is in every path, variable and secret of the worker that is probed.
const marker = "xyzzy-marker"

// private makes a worker whose models folder, its checkpoints, its files of
// certificates and tokens, and its environment hold the marker. Its runs fail
// with fail.
func private(t *testing.T, fail func() error) (w *workertest.Worker, token string, log *logged) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), marker)
	t.Setenv("GENIE_TEST_SECRET", marker)
	folder := filepath.Join(dir, "models")
	for name, files := range map[string]map[string]string{
		"empty":   {},
		"config":  {"config.json": "{", "model.safetensors": "12345678"},
		"weights": {"config.json": "{}", "model.safetensors": "\xff\xff\xff\xff\xff\xff\xff\xff{"},
		"index":   {"config.json": "{}", "model.safetensors.index.json": `{"weight_map":{"w":"../` + marker + `"}}`},
		"folder":  {"config.json": "{}", "model.safetensors/x": ""},
	} {
		require.NoError(t, os.MkdirAll(filepath.Join(folder, name), 0o700))
		for file, text := range files {
			path := filepath.Join(folder, name, file)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		}
	}
	require.NoError(t, os.Symlink(dir, filepath.Join(folder, "escape")))
	found, err := models.Open(context.Background(), folder, checkpoint.Options{Hashes: filepath.Join(dir, "cache")})
	require.NoError(t, err)
	t.Cleanup(func() { _ = found.Close() })
	token, line, err := access.NewToken("alice")
	require.NoError(t, err)
	tokens := filepath.Join(dir, "tokens")
	require.NoError(t, os.WriteFile(tokens, []byte(line), 0o600))
	log = &logged{}
	auth, err := access.Open(tokens, log.logger(), access.NewLimiter(nil))
	require.NoError(t, err)
	w = workertest.Start(t, func(o *worker.Options) {
		o.Log, o.Auth = log.logger(), auth
		o.Weights = loud{found}
		o.MaxMessage = 1 << 20
		o.Quota = func(string) worker.Quota { return worker.Quota{Sessions: 3, Plans: 3, Bytes: 1 << 20} }
		o.Engine = &hooked{Engine: o.Engine, run: func(context.Context) error { return fail() }}
	})
	return w, token, log
}

// loud has names that fail in ways of their own.
type loud struct{ worker.WeightFinder }

func (l loud) Find(ctx context.Context, model string, h plan.Hash) (transport.Weight, error) {
	if model == "panic" {
		panic("in " + marker)
	}
	return l.WeightFinder.Find(ctx, model, h)
}

// TestErrorsNameNothingOfTheWorker provokes failures of every kind and looks for
// the marker, and for the worker's addresses, in the words that come back.
func TestErrorsNameNothingOfTheWorker(t *testing.T) {
	var fail error
	w, token, log := private(t, func() error {
		if fail != nil && strings.HasPrefix(fail.Error(), "panic") {
			panic(fail)
		}
		return fail
	})
	check := func(name string, err error) {
		t.Helper()
		if err == nil {
			return
		}
		text := err.Error()
		require.NotContains(t, text, marker, name)
		require.NotContains(t, text, os.TempDir(), name)
		require.NotContains(t, text, "127.0.0.1", name)
		require.NotRegexp(t, `0x[0-9a-f]{6,}|goroutine|\.go:\d`, text, name)
	}
	p := as(t, w, token)
	p.session()
	path := filepath.Join(os.TempDir(), marker)
	panics := errors.New("panic " + marker)
	for _, cause := range []error{nil, transport.ErrShape, transport.ErrLimit, transport.ErrCorrupt, transport.ErrState, transport.ErrMissingWeight} {
		for _, private := range []error{
			&fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist},
			&os.LinkError{Op: "rename", Old: path, New: path, Err: fs.ErrExist},
			os.NewSyscallError(marker, fs.ErrPermission),
			&net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, Err: errors.New(marker)},
			&checkpoint.Error{File: path, Err: checkpoint.ErrCorrupt},
			&safetensors.Error{File: path, Err: safetensors.ErrCorrupt},
			panics,
		} {
			if fail = private; cause != nil && !errors.Is(private, panics) {
				fail = fmt.Errorf("%w: %w", cause, private)
			}
			err := p.ask(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1}, floats(0, 0), nil)
			require.Error(t, err)
			check(fmt.Sprintf("%v with %T", cause, private), err)
			if cause != nil && !errors.Is(private, panics) {
				require.ErrorIs(t, err, cause)
			}
		}
	}
	require.Contains(t, log.String(), marker, "the worker's own log does name it")
	fail = nil
	p.probe(check)

	for name, hello := range map[string]*wirepb.Hello{
		"no token": {Version: wire.Version}, "wrong token": {Version: wire.Version, Token: []byte("guess")}, "version": {Version: 9},
		"long": {Version: wire.Version, Token: make([]byte, wire.MaxHello)},
	} {
		stranger := newPeer(t, w)
		stranger.send(&wire.Message{Type: wire.TypeHello, Control: hello})
		h, control := stranger.next()
		require.Equal(t, wire.TypeError, h.Type)
		var e wirepb.Error
		require.NoError(t, proto.Unmarshal(control, &e))
		check(name, errors.New(e.GetMessage()))
	}
}

// probe sends requests that fail, each in its own way.
func (p *peer) probe(check func(name string, err error)) {
	p.t.Helper()
	other, _ := counter()
	other.Values[1].Hash = plan.Hash{1} // content that no client has
	encoded, err := other.Encode()
	require.NoError(p.t, err)
	h := other.Hash()
	for _, model := range []string{"", "empty", "config", "weights", "index", "folder", "escape", "absent", "panic", "..", "a/b"} {
		check("model "+model, p.ask(wire.TypePrepare, &wirepb.Prepare{
			Session: 1, Plan: 2, Hash: h[:], Model: model, PlanBytes: uint64(len(encoded)),
		}, encoded, nil))
	}
	bad := append([]byte(nil), encoded...)
	bad[0] ^= 1
	badHash := plan.HashEncoded(bad)
	for name, ask := range map[string]func() error{
		"plan that is none": func() error {
			return p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 3, Hash: badHash[:], PlanBytes: uint64(len(bad))}, bad, nil)
		},
		"plan of another hash": func() error {
			return p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 3, Hash: h[:], PlanBytes: uint64(len(bad))}, bad, nil)
		},
		"wrong content": func() error {
			return p.ask(wire.TypePutWeight, &wirepb.PutWeight{Session: 1, Plan: 2, Value: 1, Bytes: 8}, floats(1, 2), nil)
		},
		"no weight": func() error { return p.ask(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 2}, floats(0, 0), nil) },
		"bindings": func() error {
			return p.ask(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1, Bindings: []uint64{1}}, nil, nil)
		},
		"too long": func() error { return p.ask(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1, Bytes: 1 << 40}, nil, nil) },
		"stale": func() error {
			return p.ask(wire.TypeRead, &wirepb.Read{Session: 1, Handle: &wirepb.Handle{Id: 99}}, nil, nil)
		},
		"unknown":    func() error { return p.ask(wire.Type(99), nil, nil, nil) },
		"no session": func() error { return p.ask(wire.TypeReset, &wirepb.Reset{Session: 99}, nil, nil) },
		"second":     func() error { return p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil) },
		"loop": func() error {
			return p.ask(wire.TypeLoop, &wirepb.Loop{Run: &wirepb.Run{Session: 1, Plan: 1}, Credit: 1}, floats(0, 0), nil)
		},
		"quota 2": func() error { return p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 2}, nil, nil) },
		"quota 3": func() error { return p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 3}, nil, nil) },
		"quota 4": func() error { return p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 4}, nil, nil) },
		"short hash": func() error {
			return p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 3, Hash: h[:3]}, nil, nil)
		},
		"not a value": func() error {
			return p.ask(wire.TypePutWeight, &wirepb.PutWeight{Session: 1, Plan: 1, Value: 0, Bytes: 8}, floats(1, 2), nil)
		},
	} {
		check(name, ask())
	}
}

// TestClientNamesTheAddress is the other half: the client says which worker.
func TestClientNamesTheAddress(t *testing.T) {
	w := hook(t, func(context.Context) error { return fmt.Errorf("%w: by design", transport.ErrShape) })
	for way, dial := range dialers {
		ex, err := dial(t.Context(), w, nil)
		require.NoError(t, err)
		s, err := ex.NewSession(t.Context())
		require.NoError(t, err)
		p, weights := counter()
		ref, err := s.Prepare(t.Context(), p, weights, nil)
		require.NoError(t, err)
		_, err = s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 0)}}})
		require.ErrorIs(t, err, transport.ErrShape)
		require.ErrorContains(t, err, map[string]string{"tcp": w.TCP, "grpc": w.GRPC}[way])
		require.NoError(t, ex.Close())
	}
}

// TestNoOtherService asks the gRPC port for what it does not have, reflection
// among it.
func TestNoOtherService(t *testing.T) {
	w := workertest.Start(t, nil)
	cc, err := grpc.NewClient("passthrough:///"+w.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	require.NoError(t, err)
	defer func() { _ = cc.Close() }()
	for _, method := range []string{
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
		"/grpc.channelz.v1.Channelz/GetServers",
		"/genie.v1.Genie/Nothing",
	} {
		stream, err := cc.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
		require.NoError(t, err)
		require.NoError(t, stream.CloseSend())
		err = stream.RecvMsg(&wirepb.Hello{})
		require.Equal(t, codes.Unimplemented, status.Code(err), "%s: %v", method, err)
	}
	server := grpc.NewServer()
	w.Server.Register(server)
	require.Len(t, server.GetServiceInfo(), 1)
	require.Contains(t, server.GetServiceInfo(), "genie.v1.Genie")
}

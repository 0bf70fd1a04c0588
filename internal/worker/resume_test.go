package worker_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/weightcache"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// cutUpload uploads a weight until the connection is cut after some bytes, and
// waits until the worker has noticed. It returns the bytes that were sent.
func cutUpload(t *testing.T, w *workertest.Worker, name string, fill float32, size int, at int64) int64 {
	t.Helper()
	ex, err := dialers[name](t.Context(), w, func(ctx context.Context, addr string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return &cutConn{Conn: nc, cutWrites: at, cutReads: -1}, err
	})
	require.NoError(t, err)
	defer func() { _ = ex.Close() }()
	_, err = useBulk(t.Context(), t, ex, fill, size)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == 0 && w.Server.Staged() == 0 }, 5*time.Second, time.Millisecond)
	return ex.Ledger().Snapshot().Sent[plan.CauseWeights]
}

// TestUploadGoesOn cuts the connection in the middle of a weight: another one
// sends the rest and no more.
func TestUploadGoesOn(t *testing.T) {
	const size = 16 * mib
	for name, dial := range dialers {
		t.Run(name, func(t *testing.T) {
			w := workertest.Start(t, nil)
			first := int64(0)
			for range 20 { // a reset may leave less than the part that is retained
				if first = cutUpload(t, w, name, 1, size, 9*mib); w.Server.Parts() > 0 {
					break
				}
			}
			require.Equal(t, 1, w.Server.Parts())
			require.InDelta(t, 9*mib, first, mib)
			// A second cut in what is left.
			second := cutUpload(t, w, name, 1, size, 4*mib)
			ex, err := dial(t.Context(), w, nil)
			require.NoError(t, err)
			defer func() { _ = ex.Close() }()
			var done []int64
			s, err := ex.NewSession(t.Context())
			require.NoError(t, err)
			p, weights := bulk(1, size)
			ref, err := s.Prepare(t.Context(), p, weights, func(n, total int64) {
				require.EqualValues(t, size, total)
				done = append(done, n)
			})
			require.NoError(t, err)
			require.NoError(t, runBulk(t.Context(), t, s, ref, 1, size))
			third := ex.Ledger().Snapshot().Sent[plan.CauseWeights]
			all := first + second + third
			t.Logf("%d, %d and %d bytes sent for %d", first, second, third, size)
			require.GreaterOrEqual(t, all, int64(size))
			// What had been sent but had not arrived is sent again, which can
			// be most of it after a reset.
			require.Less(t, third, int64(size))
			require.Equal(t, size-third, done[0])
			require.EqualValues(t, size, done[len(done)-1])
			// A reset may take with it all that the second had sent.
			require.Positive(t, w.Server.Stats().UploadsResumed)
			require.EqualValues(t, 1, w.Engine.Stats().Weights)
		})
	}
}

// TestPartsAreLimited drops what was cut short when its time is over, when
// there is too much of it, and when its memory is needed.
func TestPartsAreLimited(t *testing.T) {
	const size = 4 * mib
	used := func(w *workertest.Worker) int64 { return w.Engine.Stats().WeightBytes }
	t.Run("time", func(t *testing.T) {
		w := workertest.Start(t, func(o *worker.Options) { o.PartialTime = time.Millisecond })
		cutUpload(t, w, "tcp", 1, size, 2*mib)
		require.Eventually(t, func() bool { return used(w) == 0 }, 5*time.Second, time.Millisecond)
	})
	t.Run("bytes", func(t *testing.T) {
		w := workertest.Start(t, func(o *worker.Options) { o.PartialBytes = 9 * mib })
		for fill := range 4 {
			cutUpload(t, w, "tcp", float32(fill), size, 2*mib)
			require.EqualValues(t, min(fill+1, 2)*size, used(w))
		}
	})
	t.Run("number", func(t *testing.T) {
		w := workertest.Start(t, nil)
		for fill := range worker.MaxPartials + 2 {
			cutUpload(t, w, "tcp", float32(fill), mib, mib*3/4)
		}
		require.Equal(t, worker.MaxPartials, w.Server.Parts())
	})
	t.Run("need", func(t *testing.T) {
		w := workertest.StartEngine(t, engine.Options{Threads: 2, MemLimit: 30 * mib}, nil)
		cutUpload(t, w, "tcp", 1, 12*mib, 2*mib)
		require.EqualValues(t, 12*mib, used(w))
		ex, err := dialers["tcp"](t.Context(), w, nil)
		require.NoError(t, err)
		defer func() { _ = ex.Close() }()
		_, err = useBulk(t.Context(), t, ex, 2, 5*mib)
		require.NoError(t, err)
		require.EqualValues(t, 5*mib, used(w))
	})
	t.Run("worker closes", func(t *testing.T) {
		w := workertest.Start(t, nil)
		cutUpload(t, w, "tcp", 1, size, 2*mib)
		require.NoError(t, w.Server.Close())
		require.Zero(t, used(w))
	})
}

// TestPoisonedPart leaves the beginning of another content under a hash: a
// client with the true content notices, and sends all of it.
func TestPoisonedPart(t *testing.T) {
	const size = 2 * mib
	w := workertest.Start(t, nil)
	pl, weights := bulk(1, size)
	bad := greeted(t, w)
	require.NoError(t, bad.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil))
	encoded, err := pl.Encode()
	require.NoError(t, err)
	h := pl.Hash()
	require.NoError(t, bad.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:], PlanBytes: uint64(len(encoded))}, encoded, nil))
	frame := frameOf(t, 3, &wire.Message{
		Type: wire.TypePutWeight, Stream: 100, Control: &wirepb.PutWeight{Session: 1, Plan: 1, Value: 1, Bytes: size},
		Payload: []wire.Segment{{Data: make([]byte, mib/2)}},
	})
	_, err = bad.conn.Write(rewrite(3, frame, 6, byte(wire.FlagMore)))
	require.NoError(t, err)
	require.NoError(t, bad.conn.Close())
	require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == 0 && w.Server.Staged() == 0 }, 5*time.Second, time.Millisecond)

	p := greeted(t, w)
	require.NoError(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil))
	var ready wirepb.Prepared
	require.NoError(t, p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:]}, nil, &ready))
	require.Len(t, ready.GetPartial(), 1)
	require.EqualValues(t, mib/2, ready.GetPartial()[0].GetBytes())
	prefix := transport.HashWeight(plan.F32, []int{size / 4}, make([]byte, mib/2))
	require.Equal(t, prefix[:], ready.GetPartial()[0].GetHash())

	ex, err := dialers["tcp"](t.Context(), w, nil)
	require.NoError(t, err)
	defer func() { _ = ex.Close() }()
	_, err = useBulk(t.Context(), t, ex, 1, size)
	require.NoError(t, err)
	require.EqualValues(t, size, ex.Ledger().Snapshot().Sent[plan.CauseWeights])
	require.Len(t, weights, 1)
}

// TestOffsets refuses offsets that are not where an upload ended.
func TestOffsets(t *testing.T) {
	w := workertest.Start(t, nil)
	p := greeted(t, w)
	p.session()
	put := func(offset uint64, data []byte) error {
		return p.ask(wire.TypePutWeight, &wirepb.PutWeight{Session: 1, Plan: 1, Value: 1, Bytes: uint64(len(data)), Offset: offset}, data, nil)
	}
	require.ErrorIs(t, put(4, floats(200)), transport.ErrMissingWeight)
	require.ErrorIs(t, put(9, nil), transport.ErrProtocol)
	require.ErrorIs(t, put(8, nil), transport.ErrMissingWeight)
	require.ErrorIs(t, put(4, floats(100, 200)), transport.ErrProtocol)
	p.works()
}

// cached starts a worker with a cache in dir.
func cached(t *testing.T, dir string, o engine.Options) *workertest.Worker {
	c, err := weightcache.Open(dir, weightcache.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	o.Threads = 2
	return workertest.StartEngine(t, o, func(w *worker.Options) { w.Cache = c })
}

// TestWeightsOutliveTheWorker in a cache on disk, whose content is checked.
func TestWeightsOutliveTheWorker(t *testing.T) {
	const size = 3 * mib
	dir := t.TempDir()
	sends := func(w *workertest.Worker) int64 {
		ex, err := dialers["tcp"](t.Context(), w, nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, ex.Close()) }()
		_, err = useBulk(t.Context(), t, ex, 1, size)
		require.NoError(t, err)
		return ex.Ledger().Snapshot().Sent[plan.CauseWeights]
	}
	files := func() []string {
		paths, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		return paths
	}
	first := cached(t, dir, engine.Options{})
	cutUpload(t, first, "tcp", 1, size, 2*mib)
	require.Less(t, sends(first), int64(size), "the rest of an upload goes into the cache, too")
	require.NoError(t, first.Close())
	require.Len(t, files(), 1)
	require.EqualValues(t, 1, first.Server.Stats().CacheEntries)

	second := cached(t, dir, engine.Options{MemLimit: 20 * mib})
	require.Zero(t, sends(second))
	require.EqualValues(t, 1, second.Server.Stats().CacheHits)
	require.NoError(t, second.Engine.Memory().Check(1, ""))
	require.Eventually(t, func() bool { return second.Engine.Stats().Sessions == 0 }, 5*time.Second, time.Millisecond)
	second.Engine.Memory().Reclaim()
	require.Zero(t, second.Engine.Stats().Weights)
	require.Zero(t, sends(second), "what memory had no room for comes back")
	require.EqualValues(t, 2, second.Server.Stats().CacheHits)
	require.NoError(t, second.Close())

	b, err := os.ReadFile(files()[0])
	require.NoError(t, err)
	b[size/2] ^= 1
	require.NoError(t, os.WriteFile(files()[0], b, 0o600))
	third := cached(t, dir, engine.Options{})
	require.EqualValues(t, size, sends(third))
	require.EqualValues(t, 1, third.Server.Stats().CacheMisses)
	require.NoError(t, third.Close())
	require.Zero(t, sends(cached(t, dir, engine.Options{})), "and a good file has replaced the bad one")
}

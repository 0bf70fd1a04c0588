package checkpoint

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/zeebo/blake3"
	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/internal/safetensors"
)

// Digest is a BLAKE3-256 hash.
type Digest = [32]byte

const (
	defaultHashWorkers = 2
	hashChunkBytes     = 4 << 20 // between two looks at cancellation
)

// HashTensor returns the content hash of a tensor, as the package comment
// defines it.
func HashTensor(t safetensors.Tensor) Digest {
	h := newTensorHash(t)
	_, _ = h.Write(t.Data) // a hash never fails to take bytes
	return sum(h)
}

// newTensorHash returns a hash that has taken everything but the data.
func newTensorHash(t safetensors.Tensor) *blake3.Hasher {
	prefix := append([]byte(t.DType), 0)
	prefix = binary.LittleEndian.AppendUint64(prefix, uint64(len(t.Shape)))
	for _, n := range t.Shape {
		prefix = binary.LittleEndian.AppendUint64(prefix, uint64(n))
	}
	h := blake3.New()
	_, _ = h.Write(prefix)
	return h
}

func sum(h *blake3.Hasher) Digest {
	var d Digest
	h.Sum(d[:0])
	return d
}

// Hash returns the content hash of the named tensor. The first call loads or
// computes the hashes of all tensors, which reads every weight once; use
// [Model.HashAll] to be able to cancel that.
func (m *Model) Hash(name string) (Digest, error) {
	if _, ok := m.where[name]; !ok {
		return Digest{}, &Error{File: m.weightsName(), Tensor: name, Err: ErrMissingTensor}
	}
	if err := m.HashAll(context.Background()); err != nil {
		return Digest{}, err
	}
	return m.hashes[name], nil
}

// HashAll makes the hashes of all tensors available: from the file beside the
// checkpoint when that is current, else computed and then stored there. It
// returns the context's error when it is cancelled, [ErrClosed] when the model
// is closed meanwhile, and [ErrChanged] when a weights file was changed in
// place. That the hashes cannot be stored is no error; the logger hears of it.
func (m *Model) HashAll(ctx context.Context) error {
	m.hashing.Lock()
	defer m.hashing.Unlock()
	if m.isClosed() {
		return &Error{File: m.dir, Err: ErrClosed}
	}
	if m.hashes != nil {
		return nil
	}
	state := m.describeFiles()
	hashes, missing := m.loadHashes(state)
	if len(missing) > 0 {
		if err := m.compute(ctx, missing, hashes); err != nil {
			return err
		}
		if err := m.checkUnchanged(); err != nil {
			return err
		}
		m.storeHashes(state, hashes)
	}
	m.hashes = hashes
	return nil
}

// compute hashes the named tensors into hashes, the largest first so that the
// goroutines end together.
func (m *Model) compute(ctx context.Context, names []string, hashes map[string]Digest) error {
	total := int64(0)
	tensors := make(map[string]safetensors.Tensor, len(names))
	for _, name := range names {
		t, err := m.Tensor(name)
		if err != nil {
			return err
		}
		tensors[name] = t
		total += int64(len(t.Data))
	}
	names = slices.Clone(names)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(len(tensors[b].Data), len(tensors[a].Data)) })

	meter := &meter{total: total, report: m.opts.Progress}
	results := make([]Digest, len(names))
	group, ctx := errgroup.WithContext(ctx)
	workers := m.opts.Workers
	if workers <= 0 {
		workers = defaultHashWorkers
	}
	group.SetLimit(workers)
	for i, name := range names {
		group.Go(func() error {
			var err error
			results[i], err = m.hashChunks(ctx, tensors[name], meter)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err //nolint:wrapcheck // the context's error or ours
	}
	for i, name := range names {
		hashes[name] = results[i]
	}
	return nil
}

// hashChunks is HashTensor with cancellation and progress.
func (m *Model) hashChunks(ctx context.Context, t safetensors.Tensor, meter *meter) (Digest, error) {
	h := newTensorHash(t)
	for at := 0; at < len(t.Data); {
		if err := ctx.Err(); err != nil {
			return Digest{}, fmt.Errorf("hash %s: %w", m.dir, err)
		}
		if m.isClosed() {
			return Digest{}, &Error{File: m.dir, Err: ErrClosed}
		}
		end := min(at+hashChunkBytes, len(t.Data))
		if err := t.ReadPart(at, end, func(b []byte) { _, _ = h.Write(b) }); err != nil {
			return Digest{}, &Error{File: t.File, Reason: "changed while its tensors were hashed", Err: ErrCorrupt, Cause: err}
		}
		meter.add(int64(end - at))
		at = end
	}
	t.Release()
	return sum(h), nil
}

// checkUnchanged looks whether a file was changed under the mapping. A file
// that was replaced or removed is no change: the mapping holds the old one.
func (m *Model) checkUnchanged() error {
	for _, f := range m.files {
		info, err := os.Stat(f.Path())
		if err != nil || !os.SameFile(info, f.Info()) {
			continue
		}
		if info.Size() != f.Info().Size() || !info.ModTime().Equal(f.Info().ModTime()) {
			return &Error{File: f.Path(), Reason: "changed while its tensors were hashed", Err: ErrChanged}
		}
	}
	return nil
}

// meter adds up progress and reports it, one call at a time.
type meter struct {
	mu          sync.Mutex
	done, total int64
	report      func(done, total int64)
}

func (p *meter) add(n int64) {
	if p.report == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	p.report(p.done, p.total)
}

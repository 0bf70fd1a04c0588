package checkpoint

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	hashChunkBytes     = 4 << 20 // between two checks for cancellation
)

// HashTensor returns the content hash of a tensor, as the package comment
// defines it.
func HashTensor(t safetensors.Tensor) Digest {
	h := newTensorHash(t)
	_, _ = h.Write(t.Data) // a hash accepts all bytes
	return sum(h)
}

// newTensorHash returns a hash of everything but the data.
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

// HashAll makes the hashes of all tensors available: the stored ones if they
// are current, else it computes and stores them, see [Options]. It returns the
// context's error when it is cancelled, [ErrClosed] when the model is closed
// meanwhile, [ErrChanged] when a weights file was changed in place, and
// [ErrCorrupt] when one was truncated. A failure to store the hashes is not an
// error; the logger reports it.
func (m *Model) HashAll(ctx context.Context) error {
	m.hashing.Lock()
	defer m.hashing.Unlock()
	if m.isClosed() {
		return &Error{File: m.dir, Err: ErrClosed}
	}
	if m.hashes != nil {
		return nil
	}
	ids := make([]identity, len(m.files))
	for i, f := range m.files {
		var err error
		if ids[i], err = m.identify(f); err != nil {
			return err
		}
	}
	on := m.shelf()
	hashes, missing := m.loadHashes(on, ids)
	if len(missing) > 0 {
		lasting, err := m.computeAll(ctx, ids, missing, hashes)
		if err != nil {
			return err
		}
		if lasting && on != nil {
			m.storeHashes(on, ids, hashes)
		}
	}
	m.hashes = hashes
	return nil
}

// touchedAttempts bounds how often files are hashed again because only their
// time of change has changed meanwhile.
const touchedAttempts = 3

// computeAll hashes the named tensors. It reports whether the hashes stay valid
// as long as the files match ids. They do not if a file is so young that
// another write would not show.
func (m *Model) computeAll(ctx context.Context, ids []identity, names []string, hashes map[string]Digest) (lasting bool, err error) {
	for range touchedAttempts {
		begun := m.opts.Now()
		if err := m.compute(ctx, names, hashes); err != nil {
			return false, err
		}
		became, err := m.look(ids)
		if err != nil {
			return false, err
		}
		if became == touched { // a new name, other permissions, or other content with the old times: hash everything again
			names = m.names
			continue
		}
		settled := !slices.ContainsFunc(ids, func(id identity) bool { return !id.settled(begun) })
		return became == unchanged && settled, nil
	}
	return false, &Error{File: m.dir, Reason: "its files change all the time", Err: ErrChanged}
}

// Distrust says that content does not have its stored hash. It drops the stored
// hashes of this model, which are computed again on demand.
func (m *Model) Distrust() {
	m.hashing.Lock()
	defer m.hashing.Unlock()
	m.distrusted, m.hashes = true, nil
	on := m.shelf()
	if on == nil {
		return
	}
	files := make(map[string]identity, len(m.files))
	for _, f := range m.files {
		id := fileIdentity(f.Info())
		head := blake3.Sum256(f.Header())
		id.HeaderHash = hex.EncodeToString(head[:])
		files[filepath.Base(f.Path())] = id
	}
	if err := on.drop(files); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Warn("stored tensor hashes that are wrong cannot be removed", "dir", m.dir, "error", err)
	}
}

// compute hashes the named tensors into hashes, the largest first so that the
// goroutines end at about the same time.
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

// fate is what happened to the weights files while they were hashed.
type fate uint8

const (
	unchanged fate = iota
	replaced       // a path leads to another file, or to none
	touched        // only their time of change differs
)

// look checks whether a file was changed under the mapping since ids was taken,
// which is an error, or updates ids where only its time of change differs. A
// file that was replaced or removed counts as unchanged: the mapping holds the
// old one.
func (m *Model) look(ids []identity) (became fate, err error) {
	for i, f := range m.files {
		info, err := m.stat(filepath.Base(f.Path()))
		if err != nil || !os.SameFile(info, f.Info()) {
			became = max(became, replaced)
			continue
		}
		if info.Size() != f.Info().Size() || !info.ModTime().Equal(f.Info().ModTime()) {
			return 0, &Error{File: f.Path(), Reason: "changed while its tensors were hashed", Err: ErrChanged}
		}
		now := fileIdentity(info).ChangeTimeNs
		if now == ids[i].ChangeTimeNs {
			continue
		}
		if ids[i], err = m.identify(f); err != nil {
			return 0, err
		}
		ids[i].ChangeTimeNs = now
		became = touched
	}
	return became, nil
}

// meter sums up progress and reports it, one call at a time.
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

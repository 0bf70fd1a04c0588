package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/genie-sdk/go/internal/weightcache"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
)

// incoming is a weight on its way into the engine and, if there is one, into
// the cache on disk. Errors of the cache do not stop the weight.
type incoming struct {
	out  WeightWriter
	file *weightcache.Writer // nil without a cache, or after an error of it
	log  *slog.Logger

	payer *tenant // charged for its memory until it is committed or aborted; nil for none
	paid  int64
}

// settle ends the charge of the payer.
func (in *incoming) settle() {
	if in.payer != nil {
		in.payer.bytes.give(in.paid)
		in.payer = nil
	}
}

// newIncoming begins to take v, one of a program's weights, of size bytes.
func (s *Server) newIncoming(p Program, v plan.Value, size uint64) (*incoming, error) {
	out, err := s.opts.Engine.PutWeight(p, v)
	if err != nil {
		return nil, err
	}
	in := &incoming{out: out, log: s.opts.Log.With("weight", v.Name)}
	if s.opts.Cache != nil {
		in.file, err = s.opts.Cache.Create(v.Hash, int64(size))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			in.log.Warn("weight is not cached", "error", err)
		}
	}
	return in, nil
}

// Write takes the next bytes.
func (in *incoming) Write(b []byte) (int, error) {
	n, err := in.out.Write(b)
	if err == nil && in.file != nil {
		if _, err := in.file.Write(b); err != nil {
			in.log.Warn("weight is not cached", "error", err)
			in.file = nil
		}
	}
	return n, err
}

// Commit makes the weight available. Call save after that to store it in the
// cache.
func (in *incoming) Commit() error {
	defer in.settle()
	return in.out.Commit()
}

// save makes the file in the cache durable. It takes as long as the disk does.
func (in *incoming) save() {
	if in.file == nil {
		return
	}
	tagged(in.file, in.out.Tag())
	if err := in.file.Commit(); err != nil {
		in.log.Warn("weight is not cached", "error", err)
	}
	in.file = nil
}

// Abort drops what has not been committed or saved.
func (in *incoming) Abort() {
	defer in.settle()
	in.out.Abort()
	if in.file != nil {
		if err := in.file.Abort(); err != nil {
			in.log.Warn("remains of a weight in the cache", "error", err)
		}
		in.file = nil
	}
}

// load takes a weight from the cache and reports whether it was found. An error
// is one of the engine.
func (s *Server) load(ctx context.Context, p Program, v plan.Value) (bool, error) {
	size, err := wire.WeightBytes(&v)
	if err != nil {
		return false, err
	}
	var failed error
	ok, err := s.opts.Cache.Load(v.Hash, int64(size), func(r io.Reader) error {
		var out WeightWriter
		if out, failed = s.opts.Engine.PutWeight(p, v); failed != nil {
			return failed
		}
		defer out.Abort()
		if err := copyWeight(ctx, out, r); err != nil {
			return err
		}
		return out.Commit()
	})
	switch {
	case failed != nil:
		return false, failed
	case ctx.Err() != nil && !ok:
		return false, fmt.Errorf("genie: stopped: %w", context.Cause(ctx))
	case err != nil:
		s.opts.Log.Warn("cached weight is unusable", "weight", v.Name, "error", err)
	}
	return ok, nil
}

// copyWeight copies in pieces and checks ctx between them.
func copyWeight(ctx context.Context, out io.Writer, r io.Reader) error {
	for {
		if ctx.Err() != nil {
			return fmt.Errorf("genie: stopped: %w", context.Cause(ctx))
		}
		_, err := io.CopyN(out, r, wire.MaxFramePayload)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// partsOf lists the received parts of missing weights whose uploads were
// interrupted.
func (s *Server) partsOf(t *tenant, p Program, ids []int) []part {
	var out []part
	if s.partials.none() {
		return nil
	}
	for _, id := range ids {
		key, err := s.partialKey(t, p, p.Plan().Values[id])
		if err != nil {
			continue // the upload will report it
		}
		if got, prefix := s.partials.look(key); got > 0 {
			out = append(out, part{uint32(id), uint64(got), prefix})
		}
	}
	return out
}

// part is the first bytes of a weight.
type part struct {
	value  uint32
	bytes  uint64
	prefix plan.Hash
}

// resume resumes an interrupted upload at offset. The identity that resumes it
// is charged for it.
func (s *Server) resume(key partialKey, name string, offset uint64) (*incoming, error) {
	in := s.partials.take(key, int64(offset))
	if in == nil {
		return nil, fmt.Errorf("%w: the first %d bytes of %.80q are not here", transport.ErrMissingWeight, offset, name)
	}
	if t := key.tenant; in.payer != t {
		if err := t.bytes.take(in.paid); err != nil {
			s.partials.park(key, in)
			return nil, err
		}
		in.settle()
		in.payer = t
	}
	s.resumed.Add(1)
	return in, nil
}

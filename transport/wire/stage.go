package wire

import (
	"context"
	"fmt"
	"hash/crc32"

	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
)

// viewed reports whether a part of a payload is a view of a mapped file.
func viewed(segs []Segment) bool {
	for i := range segs {
		if segs[i].View != "" {
			return true
		}
	}
	return false
}

// stagesAhead is the number of frames that are copied ahead of the writer.
const stagesAhead = 2

// stages copies the frames of a payload out of mapped files, ahead of the
// goroutine that writes them. Goroutines of other packages and the kernel write
// connections; neither handles a truncated file well. A copy also has the
// checksum that was computed, whatever happens to the file. The memory is
// bounded: the buffer of a frame is reused when it is no longer read.
type stages struct {
	next   chan stage
	stop   chan struct{}
	done   chan struct{}
	closed <-chan struct{}
	spare  chan []byte
}

// stage is one frame.
type stage struct {
	pieces []Segment
	crc    uint32
	hold   *Hold  // to be released when the frame is written
	buffer []byte // the buffer that the hold guards
	err    error
}

func startStages(segs []Segment, n uint64, closed <-chan struct{}, spare chan []byte) *stages {
	s := &stages{
		next: make(chan stage, stagesAhead), stop: make(chan struct{}), done: make(chan struct{}),
		closed: closed, spare: spare,
	}
	go s.run(segs, n)
	return s
}

func (s *stages) run(segs []Segment, n uint64) {
	defer close(s.done)
	cur := cursor{segs: segs}
	var written []stage // frames whose buffers may still be read, oldest first
	defer func() {
		for _, f := range written {
			s.free(f)
		}
	}()
	for n > 0 {
		k := min(n, ChunkSize)
		n -= k
		if len(written) > stagesAhead {
			s.free(written[0])
			written = written[1:]
		}
		f := s.copy(cur.take(nil, int(k)), int(k))
		select {
		case s.next <- f:
			written = append(written, f)
		case <-s.stop:
			f.hold.Done()
			written = append(written, f)
			return
		}
		if f.err != nil {
			return
		}
	}
}

// copy copies a frame into memory of this process.
func (s *stages) copy(pieces []Segment, n int) (f stage) {
	f = stage{pieces: pieces, hold: newHold()}
	select {
	case f.buffer = <-s.spare:
	default:
	}
	if cap(f.buffer) < n {
		f.buffer = make([]byte, n)
	}
	left := f.buffer[:n]
	for i := range pieces {
		p := &pieces[i]
		if p.View == "" {
			f.crc = crc32.Update(f.crc, castagnoli, p.Data)
			continue
		}
		k, err := memory.CopyView(left, p.Data)
		if err != nil {
			f.err = fmt.Errorf("%w: %s: %w", transport.ErrCorrupt, p.View, err)
			return f
		}
		p.Data, p.View = left[:k:k], ""
		left = left[k:]
		f.crc = crc32.Update(f.crc, castagnoli, p.Data)
	}
	return f
}

// take is the next frame; its caller releases the hold.
func (s *stages) take(ctx context.Context) (stage, error) {
	select {
	case f := <-s.next:
		if f.err != nil {
			f.hold.Done()
		}
		return f, f.err
	case <-ctx.Done():
		return stage{}, context.Cause(ctx)
	case <-s.closed:
		return stage{}, fmt.Errorf("%w: connection", transport.ErrClosed)
	}
}

// free waits until a frame is no longer read and retains its buffer. After the
// end of the connection a reader may remain, so the buffer is left to it.
func (s *stages) free(f stage) {
	if !f.hold.await(s.closed) {
		return
	}
	select {
	case s.spare <- f.buffer[:cap(f.buffer)]:
	default:
	}
}

// end waits until the payload is no longer read. It releases frames that were
// not taken.
func (s *stages) end() {
	close(s.stop)
	for {
		select {
		case f := <-s.next:
			f.hold.Done()
		case <-s.done:
			for {
				select {
				case f := <-s.next:
					f.hold.Done()
				default:
					return
				}
			}
		}
	}
}

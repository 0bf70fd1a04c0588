package worker

import (
	"fmt"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
)

// staging maps the memory that payloads are received into, off the Go heap.
type staging struct {
	used    atomic.Int64
	limit   int64
	account *budget.Budget
}

// stagingAlign aligns each input to cache lines.
const stagingAlign = 64

func align(n uint64) uint64 { return (n + stagingAlign - 1) &^ (stagingAlign - 1) }

// pages is n rounded up to whole pages.
func pages(n uint64) uint64 {
	const page = 4096
	return (n + page - 1) &^ (page - 1)
}

// get maps at least n bytes.
func (s *staging) get(n uint64) ([]byte, error) {
	n = pages(n)
	if err := s.reserve(n); err != nil {
		return nil, err
	}
	b, err := memory.Map(int(n))
	if err != nil {
		s.unreserve(n)
		return nil, fmt.Errorf("%w: the system gives no %d bytes: %w", transport.ErrMemory, n, err)
	}
	return b, nil
}

// put unmaps memory of get.
func (s *staging) put(b []byte) {
	if b != nil {
		memory.Unmap(b)
		s.unreserve(uint64(len(b)))
	}
}

// plenty reports whether there is so much memory that a call with n bytes of
// inputs may take more than it needs.
func (s *staging) plenty(n uint64) bool { return s.account.Check(int64(4*n), "") == nil }

// grow maps b, memory of get, again with at least n bytes. When it fails, b is
// unchanged.
func (s *staging) grow(b []byte, n uint64) ([]byte, error) {
	n = pages(n)
	more := n - uint64(len(b))
	if err := s.reserve(more); err != nil {
		return b, err
	}
	grown, err := memory.Grow(b, int(n))
	if err != nil {
		s.unreserve(more)
		return b, fmt.Errorf("%w: the system gives no %d bytes: %w", transport.ErrMemory, n, err)
	}
	return grown, nil
}

// check reports whether n bytes could be taken now, but takes none.
func (s *staging) check(n uint64) error {
	if used := s.used.Load(); n > uint64(max(s.limit-used, 0)) {
		return s.tooMuch(n, used)
	}
	return s.account.Check(int64(n), "data to receive")
}

func (s *staging) tooMuch(n uint64, used int64) error {
	return fmt.Errorf("%w: %d bytes wanted to receive into, %d of %d are free", transport.ErrLimit, n, max(s.limit-used, 0), s.limit)
}

// reserve counts memory that is taken.
func (s *staging) reserve(n uint64) error {
	if used := s.used.Add(int64(n)); used > s.limit {
		s.used.Add(-int64(n))
		return s.tooMuch(n, used-int64(n))
	}
	if err := s.account.Reserve(budget.Staging, int64(n), "data to receive"); err != nil {
		s.used.Add(-int64(n))
		return err
	}
	return nil
}

func (s *staging) unreserve(n uint64) {
	s.used.Add(-int64(n))
	s.account.Release(budget.Staging, int64(n))
}

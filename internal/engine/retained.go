package engine

import (
	"fmt"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/transport"
)

// Read returns a retained value. Its bytes are the session's and must not be
// changed. If they are a copy of device memory, the session retains the copy,
// and its memory counts with the value's.
func (s *Session) Read(h transport.Handle) (transport.Tensor, error) {
	if err := s.on.enter(); err != nil {
		return transport.Tensor{}, s.on.gone()
	}
	defer s.on.leave()
	k, host, err := s.use(h)
	if err != nil {
		return transport.Tensor{}, err
	}
	defer s.unuse(k)
	if host == nil {
		if host, err = s.hostBytes(k); err != nil {
			return transport.Tensor{}, err
		}
	}
	return transport.Tensor{DType: k.dtype, Shape: k.shape, Data: host}, nil
}

// hostBytes is the content of a retained value in use, in memory of this
// process.
func (s *Session) hostBytes(k *retained) ([]byte, error) {
	if s.on.addressable || k.n == 0 {
		return s.on.device.Bytes(k.mem, k.n)
	}
	n := int64(k.n)
	if err := s.budget.Take(n); err != nil {
		return nil, err
	}
	if err := s.e.budget.Reserve(budget.Retained, n, "a copy of a retained value"); err != nil {
		s.budget.Give(n)
		return nil, err
	}
	data, err := s.on.device.Bytes(k.mem, k.n)
	if err != nil || !s.hasHost(k, data) {
		s.budget.Give(n)
		s.e.budget.Release(budget.Retained, n)
	}
	return data, err
}

// hasHost records a copy of a retained value, unless there is one by now.
func (s *Session) hasHost(k *retained, data []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.host != nil {
		return false
	}
	k.host = data
	return true
}

// use finds a retained value, which is not freed until unuse, and its copy in
// memory of this process, if there is one.
func (s *Session) use(h transport.Handle) (k *retained, host []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, err = s.find(h); err != nil {
		return nil, nil, err
	}
	if k.coming != nil {
		return nil, nil, fmt.Errorf("%w: value %d has not arrived", transport.ErrTicket, h.ID)
	}
	k.users++
	return k, k.host, nil
}

// unuse ends a use.
func (s *Session) unuse(k *retained) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.users--; k.users == 0 && k.gone {
		s.free(k)
	}
}

func (s *Session) find(h transport.Handle) (*retained, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	k := s.retained[h.ID]
	if k == nil || h.Session != s.id || h.Epoch != s.e.epoch || h.Generation != k.gen {
		return nil, fmt.Errorf("%w: value %d of session %d", transport.ErrStaleHandle, h.ID, h.Session)
	}
	return k, nil
}

// Release releases retained values; unknown handles are ignored. The memory of
// a value that a call or a reader uses is freed when that has ended.
func (s *Session) Release(hs ...transport.Handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range hs {
		if k, err := s.find(h); err == nil {
			delete(s.retained, h.ID)
			s.forget(k)
		}
	}
}

// forget frees a retained value, now or after its last use. The caller holds
// the session's lock.
func (s *Session) forget(k *retained) {
	if k.coming != nil {
		k.coming.fails()
	}
	if k.gone = true; k.users == 0 {
		s.free(k)
	}
}

func (s *Session) free(k *retained) {
	n := int64(k.n) + keptHead + int64(len(k.host))
	s.on.device.Free(device.UseRetained, k.mem)
	s.budget.Give(n)
	s.e.budget.Release(budget.Retained, n)
}

// keep retains a value whose memory is reserved.
func (s *Session) keep(t transport.Tensor, mem device.Buffer, n int) transport.Handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID++
	s.gen++
	s.retained[s.nextID] = &retained{dtype: t.DType, shape: t.Shape, mem: mem, n: n, gen: s.gen}
	return transport.Handle{Session: s.id, ID: s.nextID, Epoch: s.e.epoch, Generation: s.gen}
}

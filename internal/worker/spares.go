package worker

// spares is the memory that idle sessions retain to receive their next call.
type spares struct{ s *Server }

// Idle implements [budget.Holder].
func (x spares) Idle() (n int64) {
	for _, s := range x.sessions() {
		s.mu.Lock()
		n += int64(len(s.spare))
		s.mu.Unlock()
	}
	return n
}

// Reclaim implements [budget.Holder].
func (x spares) Reclaim(n int64) {
	for _, s := range x.sessions() {
		if n <= 0 {
			return
		}
		n -= s.dropSpare()
	}
}

// dropOf drops the spare memory of an identity's idle sessions, n bytes if
// there are as many, and returns the number of bytes.
func (x spares) dropOf(t *tenant, n int64) (dropped int64) {
	for _, s := range x.sessions() {
		if dropped >= n {
			break
		}
		if s.tenant == t {
			dropped += s.dropSpare()
		}
	}
	return dropped
}

// dropSpare frees the memory for the session's next call, and returns its size.
func (s *session) dropSpare() int64 {
	s.mu.Lock()
	b := s.spare
	s.spare = nil
	s.mu.Unlock()
	s.unstage(b)
	return int64(len(b))
}

func (x spares) sessions() (out []*session) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	for c := range x.s.conns {
		c.mu.Lock()
		for _, s := range c.sessions {
			out = append(out, s)
		}
		c.mu.Unlock()
	}
	return out
}

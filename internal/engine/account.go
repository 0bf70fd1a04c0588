package engine

// Account bounds the memory of one tenant's sessions. It is safe for concurrent
// use.
type Account interface {
	// Take counts n bytes before they are taken, or refuses them.
	Take(n int64) error
	// Give counts n bytes that have been given back.
	Give(n int64)
}

// unbounded is the account of a session that has no other.
type unbounded struct{}

func (unbounded) Take(int64) error { return nil }
func (unbounded) Give(int64)       {}

// Charge makes the session take its memory, carried state and kept values, from
// an account. It must be called before the session's first call.
func (s *Session) Charge(a Account) { s.account = a }

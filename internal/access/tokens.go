package access

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport"
)

// The limits of a file of tokens.
const (
	MaxTokens      = 10_000
	MaxIdentity    = 256     // bytes
	maxTokensBytes = 4 << 20 // of the file
)

// scheme begins a token's hash. A token is random and long, so a fast hash is
// as good as a slow one.
const scheme = "sha256:"

// Tokens holds the tokens of a file. It is safe for concurrent use.
type Tokens struct {
	path  string
	log   *slog.Logger
	limit *Limiter

	mu   sync.Mutex
	text []byte
	list []entry
	why  string // what was last logged
}

type entry struct {
	identity string
	hash     [sha256.Size]byte
}

// Open reads the token file at path. It logs when a changed file cannot be
// used; the old content then stays in use. limit bounds failed attempts.
func Open(path string, log *slog.Logger, limit *Limiter) (*Tokens, error) {
	t := &Tokens{path: path, log: log, limit: limit}
	text, err := t.read()
	if err != nil {
		return nil, err
	}
	if t.list, err = parse(text); err != nil {
		return nil, fmt.Errorf("genie: tokens: %s: %w", path, err)
	}
	t.text = text
	return t, nil
}

// Authenticate is the identity that the token belongs to. from is the address
// of the client. Errors are [*RefusedError] and contain no part of the token.
func (t *Tokens) Authenticate(from string, token []byte) (string, error) {
	if len(token) == 0 {
		return "", t.refused(from, "this worker requires a token")
	}
	hash := sha256.Sum256(token)
	list, found := t.current(), -1
	for i, e := range list { // all of them, so that the time reveals nothing
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(e.hash[:], hash[:]), i, found)
	}
	if found < 0 {
		return "", t.refused(from, "this worker does not know the token")
	}
	return list[found].identity, nil
}

// refused counts a failure. An attempt over the limit gets the same answer as
// the first, but later.
func (t *Tokens) refused(from, why string) error {
	e := &RefusedError{why: why}
	if t.limit.failed(from) {
		e.delay = FailedDelay
	}
	return e
}

// RefusedError says that a peer did not present a known token.
type RefusedError struct {
	why   string
	delay time.Duration
}

// Error says what was wrong.
func (e *RefusedError) Error() string { return transport.ErrUnauthenticated.Error() + ": " + e.why }

// Unwrap is the cause.
func (e *RefusedError) Unwrap() error { return transport.ErrUnauthenticated }

// Delay is how long to wait before the peer is answered.
func (e *RefusedError) Delay() time.Duration { return e.delay }

// current is the list in the file now.
func (t *Tokens) current() []entry {
	text, err := t.read()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && !bytes.Equal(text, t.text) {
		t.text = text
		var list []entry
		if list, err = parse(text); err == nil {
			t.list = list
			t.log.Info("tokens have changed and are in use", "file", t.path, "tokens", len(list))
		}
	} else if err == nil {
		return t.list
	}
	if err == nil {
		t.why = ""
	} else if why := err.Error(); why != t.why {
		t.why = why
		t.log.Error("tokens have changed and cannot be used; those before are used further", "file", t.path, "error", err)
	}
	return t.list
}

func (t *Tokens) read() ([]byte, error) {
	f, err := os.Open(t.path)
	if err != nil {
		return nil, fmt.Errorf("genie: tokens: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxTokensBytes+1))
	if err == nil && len(b) > maxTokensBytes {
		err = fmt.Errorf("%s is larger than %d bytes", t.path, maxTokensBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("genie: tokens: %w", err)
	}
	return b, nil
}

// parse reads lines of an identity and a hash. Several tokens may have one
// identity, so that one can replace another without a gap.
func parse(text []byte) ([]entry, error) {
	var list []entry
	seen := map[[sha256.Size]byte]int{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d is not an identity and a hash", n)
		}
		e := entry{identity: fields[0]}
		if err := CheckIdentity(e.identity); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		digits, ok := strings.CutPrefix(fields[1], scheme)
		if b, err := hex.DecodeString(digits); !ok || err != nil || copy(e.hash[:], b) != len(e.hash) || len(b) != len(e.hash) {
			return nil, fmt.Errorf("line %d: the hash is not %s and %d hexadecimal digits", n, scheme, 2*len(e.hash))
		}
		if first := seen[e.hash]; first > 0 {
			return nil, fmt.Errorf("line %d has the token of line %d", n, first)
		}
		seen[e.hash] = n
		if list = append(list, e); len(list) > MaxTokens {
			return nil, fmt.Errorf("more than %d tokens", MaxTokens)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("no token")
	}
	return list, nil
}

// CheckIdentity says what is wrong with the name of an identity. An identity
// has no "=", which the subjects of certificates have, so the two cannot be
// confused.
func CheckIdentity(name string) error {
	if name == "" || len(name) > MaxIdentity {
		return fmt.Errorf("an identity has 1 to %d bytes", MaxIdentity)
	}
	for _, r := range name {
		if r < '!' || r > '~' || r == '=' || r == '#' {
			return fmt.Errorf("an identity is printable ASCII without spaces, = and #; %q is not", name)
		}
	}
	return nil
}

// NewToken makes a token of 256 random bits and its line in a token file.
func NewToken(identity string) (token, line string, err error) {
	if err := CheckIdentity(identity); err != nil {
		return "", "", err
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return "", "", fmt.Errorf("genie: token: %w", err)
	}
	token = "genie_" + hex.EncodeToString(secret[:])
	hash := sha256.Sum256([]byte(token))
	return token, identity + " " + scheme + hex.EncodeToString(hash[:]), nil
}

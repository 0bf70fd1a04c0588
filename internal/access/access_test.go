package access

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, path string, lines ...string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
}

func newToken(t *testing.T, identity string) (token, line string) {
	t.Helper()
	token, line, err := NewToken(identity)
	require.NoError(t, err)
	return token, line
}

func TestTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	alice, aliceLine := newToken(t, "alice")
	again, againLine := newToken(t, "alice")
	bob, bobLine := newToken(t, "bob")
	require.NotContains(t, aliceLine, alice, "the file holds no token")
	write(t, path, "# who may use the worker", aliceLine, "", againLine, "  "+bobLine+"  ")
	var log bytes.Buffer
	tokens, err := Open(path, slog.New(slog.NewTextHandler(&log, nil)), NewLimiter(nil))
	require.NoError(t, err)
	for token, want := range map[string]string{alice: "alice", again: "alice", bob: "bob"} {
		got, err := tokens.Authenticate("10.0.0.1:1", []byte(token))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for name, token := range map[string]string{"none": "", "another": bob[:len(bob)-1] + "x", "longer": bob + "0", "a hash": strings.Fields(bobLine)[1]} {
		_, err := tokens.Authenticate("10.0.0.2:1", []byte(token))
		require.ErrorIs(t, err, transport.ErrUnauthenticated, name)
		if token != "" {
			require.NotContains(t, err.Error(), token, name)
		}
	}

	// A token that is taken away is good no more; a broken file changes nothing.
	write(t, path, aliceLine)
	_, err = tokens.Authenticate("10.0.0.3:1", []byte(bob))
	require.ErrorIs(t, err, transport.ErrUnauthenticated)
	write(t, path, aliceLine, "nonsense")
	_, err = tokens.Authenticate("10.0.0.3:1", []byte(alice))
	require.NoError(t, err)
	require.Contains(t, log.String(), "line 2")
	require.NoError(t, os.Remove(path))
	_, err = tokens.Authenticate("10.0.0.3:1", []byte(alice))
	require.NoError(t, err)
	said := log.Len()
	_, err = tokens.Authenticate("10.0.0.3:1", []byte(alice))
	require.NoError(t, err)
	require.Equal(t, said, log.Len(), "the log is told once")
}

func TestTokensRefuses(t *testing.T) {
	_, line := newToken(t, "a")
	many := make([]string, MaxTokens+1)
	for i := range many {
		many[i] = fmt.Sprintf("a sha256:%064x", i)
	}
	for name, tt := range map[string]struct {
		lines []string
		says  string
	}{
		"empty":             {nil, "no token"},
		"comments only":     {[]string{"# nobody"}, "no token"},
		"no hash":           {[]string{"alice"}, "line 1"},
		"three fields":      {[]string{line + " x"}, "line 1"},
		"short hash":        {[]string{line, "b sha256:00"}, "line 2"},
		"long hash":         {[]string{"b sha256:" + strings.Repeat("0", 66)}, "line 1"},
		"another scheme":    {[]string{"b md5:" + strings.Repeat("0", 64)}, "line 1"},
		"token twice":       {[]string{line, "b" + line[1:]}, "line 2 has the token of line 1"},
		"like a subject":    {[]string{"CN=a" + line[1:]}, "identity"},
		"identity too long": {[]string{strings.Repeat("a", MaxIdentity+1) + line[1:]}, "identity"},
		"one token more":    {many, "more than 10000"},
		"file too large":    {[]string{line, "# " + strings.Repeat("x", maxTokensBytes)}, "is larger than 4194304 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tokens")
			write(t, path, tt.lines...)
			_, err := Open(path, slog.New(slog.DiscardHandler), NewLimiter(nil))
			require.ErrorContains(t, err, tt.says)
		})
	}
	_, err := parse([]byte(strings.Join(many[:MaxTokens], "\n")))
	require.NoError(t, err, "exactly as many")
	_, err = parse([]byte(strings.Repeat("a", MaxIdentity) + line[1:]))
	require.NoError(t, err, "exactly as long")
	_, _, err = NewToken("two words")
	require.Error(t, err)
}

// TestFailedAttempts slows the failures of one address and not another's, forgives
// with time, and never slows a token that is known.
func TestFailedAttempts(t *testing.T) {
	now := time.Unix(1e9, 0)
	path := filepath.Join(t.TempDir(), "tokens")
	token, line := newToken(t, "alice")
	write(t, path, line)
	tokens, err := Open(path, slog.New(slog.DiscardHandler), NewLimiter(func() time.Time { return now }))
	require.NoError(t, err)
	good := func(from string) {
		t.Helper()
		got, err := tokens.Authenticate(from, []byte(token))
		require.NoError(t, err)
		require.Equal(t, "alice", got)
	}
	wrong := func(from, token string) (delay time.Duration, says string) {
		t.Helper()
		_, err := tokens.Authenticate(from, []byte(token))
		require.ErrorIs(t, err, transport.ErrUnauthenticated)
		refused, ok := errors.AsType[*RefusedError](err)
		require.True(t, ok)
		return refused.Delay(), err.Error()
	}
	for _, guess := range []string{"wrong", ""} {
		first := ""
		for i := range FailedBurst {
			delay, says := wrong(fmt.Sprintf("[2001:db8::%x]:5", i), guess)
			require.Zero(t, delay)
			first = says
		}
		for i := range 3 * FailedBurst {
			delay, says := wrong(fmt.Sprintf("[2001:db8::%x]:5", i), guess)
			require.Equal(t, FailedDelay, delay)
			require.Equal(t, first, says, "nothing more is told")
			good(fmt.Sprintf("[2001:db8::%x]:5", i))
		}
		delay, _ := wrong("[2001:db8:0:1::1]:5", guess)
		require.Zero(t, delay, "another network")
		now = now.Add(FailedInterval)
		delay, _ = wrong("[2001:db8::1]:5", guess)
		require.Zero(t, delay, "one more after a while")
		delay, _ = wrong("[2001:db8::1]:5", guess)
		require.Equal(t, FailedDelay, delay)
		now = now.Add(time.Hour)
	}
}

// TestManyAddresses has more of them than are remembered: those that are new
// share one allowance until others are forgotten.
func TestManyAddresses(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := NewLimiter(func() time.Time { return now })
	addr := func(i int) string { return fmt.Sprintf("10.%d.%d.1:1", i>>8, i&255) }
	for i := range MaxAddresses {
		require.False(t, l.failed(addr(i)))
	}
	for i := range FailedBurst {
		require.False(t, l.failed(addr(MaxAddresses+i)))
	}
	require.True(t, l.failed(addr(MaxAddresses+FailedBurst)))
	require.False(t, l.failed(addr(0)), "a remembered address has its own allowance")
	require.Len(t, l.by, MaxAddresses)
	now = now.Add(time.Hour)
	require.False(t, l.failed(addr(MaxAddresses)))
	require.Len(t, l.by, 1)
}

func FuzzParse(f *testing.F) {
	f.Add("# nobody\n")
	f.Add("alice sha256:" + strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parse([]byte(text))
		if err == nil {
			require.NotEmpty(t, list)
		}
	})
}

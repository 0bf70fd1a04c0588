package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
)

// TestFailuresAsJSON verifies that every command that is asked for JSON prints
// it when it fails, one object on standard output, and that the codes agree
// with the exit codes.
func TestFailuresAsJSON(t *testing.T) {
	refused := "tcp://127.0.0.1:1"
	picture := "../../testdata/images/none.png"
	for _, tt := range []struct {
		args string
		exit int
		code string
		say  string
	}{
		{"generate --model /none --tokens 1", exitFailure, "not_found", "/none"},
		{"generate --model " + austen + " --tokens 1 --executor 127.0.0.1:7070", exitUsage, "usage", "did you mean tcp://127.0.0.1:7070"},
		{"generate --model " + austen + " --tokens 1 --executor localhost:7070", exitUsage, "usage", "did you mean tcp://localhost:7070"},
		{"generate --model " + austen + " --tokens 1 --executor [::1]:7070", exitUsage, "usage", "did you mean tcp://[::1]:7070"},
		{"generate --model " + austen + " --tokens 1 --no-recovery --executor " + refused, exitFailure, "unreachable", refused},
		{"generate --model " + austen + " --tokens 999999", exitFailure, "index_range", "999999"},
		{"generate --model " + austen + " --tokens 1 --nothing", exitUsage, "usage", "--nothing"},
		{"classify --model /none --image x.png", exitFailure, "not_found", "/none"},
		{"classify --model " + austen + " --image x.png", exitFailure, "failed", `"gpt2"`},
		{"vqa --model /none --image x.png --question q --answers a,b", exitFailure, "not_found", "/none"},
		{"vqa --model " + austen + " --image " + picture + " --question q --answers a,b", exitFailure, "failed", `"gpt2"`},
		{"explain --model /none --phase decode", exitFailure, "not_found", "/none"},
		{"explain --model ../../testdata/bert/tiny --phase decode", exitUsage, "usage", "--phase"},
		{"top " + "127.0.0.1:1", exitFailure, "failed", "127.0.0.1:1"},
		{"models new none --out /tmp/none", exitUsage, "usage", "none"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			r := inProcess(t.Context(), strings.NewReader(""), append(strings.Fields(tt.args), "--json")...)
			require.Equal(t, tt.exit, r.code, r.stderr)
			require.True(t, strings.HasPrefix(r.stderr, "genie: "), r.stderr)
			var got failureReport
			d := json.NewDecoder(strings.NewReader(r.stdout))
			d.DisallowUnknownFields()
			require.NoError(t, d.Decode(&got), r.stdout)
			require.False(t, d.More())
			require.Equal(t, tt.code, got.Error.Code, got.Error.Message)
			require.Equal(t, tt.exit, got.Error.Exit)
			require.Contains(t, got.Error.Message, tt.say)
		})
	}
}

// TestFailureNumbers are those of typed errors.
func TestFailureNumbers(t *testing.T) {
	remote := func(detail error) error {
		return fmt.Errorf("run: %w", &transport.RemoteError{Code: transport.Code(detail), Message: "words", Addr: "host:1", Detail: detail})
	}
	got := newErrorReport(remote(&transport.MemoryError{Need: 3, Free: 2, Limit: 5, For: "a cache"}), exitFailure)
	require.Equal(t, &errorReport{Code: "memory", Message: "run: words (worker host:1)", Exit: 1, Worker: "host:1", Memory: &memoryFailure{3, 2, 5, "a cache"}}, got)
	got = newErrorReport(remote(&transport.QuotaError{What: "plans", Limit: 1, Used: 1, Want: 1}), exitFailure)
	require.Equal(t, &quotaFailure{"plans", 1, 1, 1}, got.Quota)
	require.Equal(t, "quota", got.Code)
	got = newErrorReport(&transport.OverloadError{RetryAfter: 1500 * time.Microsecond, Err: transport.ErrOverloaded}, exitFailure)
	require.Equal(t, "overloaded", got.Code)
	require.InDelta(t, 1.5, got.RetryAfter, 0)
}

// TestInterruptedText is what Ctrl-C leaves of a text with --json. The answers of
// the worker stop after some tokens, so that it comes in the middle.
func TestInterruptedText(t *testing.T) {
	w := startChild(t, anyTCP())
	at, stalled := stallingRelay(t, strings.TrimPrefix(w.urls[0], "tcp://"), 3<<10)
	cmd := command(t, "generate", "--model", austen, "--prompt", "It is", "--max-new", "1000", "--ignore-eos", "--json", "--executor", "tcp://"+at)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill() }()
	select {
	case <-stalled:
	case <-time.After(time.Minute):
		t.Fatal("the text was there before the worker's answers stopped")
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait()
	require.Equal(t, 130, cmd.ProcessState.ExitCode(), stderr.String())
	require.Equal(t, "genie: interrupted\n", stderr.String())
	var got generateReport
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &got), stdout.String())
	require.True(t, got.Interrupted)
	require.EqualValues(t, "interrupted", got.Finish)
	require.Equal(t, "interrupted", got.Error.Code)
	require.Equal(t, 130, got.Error.Exit)
	require.NotEmpty(t, got.Tokens)
	require.Less(t, len(got.Tokens), 1000)
	require.NotEmpty(t, got.Text)
	whole := decode[generateReport](t, "generate", "--model", austen, "--prompt", "It is", "--max-new", "1000", "--ignore-eos", "--json")
	require.Equal(t, whole.Tokens[:len(got.Tokens)], got.Tokens)
	require.True(t, strings.HasPrefix(whole.Text, got.Text))
}

// stallingRelay passes a connection on to an address, but of what comes back no
// more than the first n bytes. stalled is closed when there is more.
func stallingRelay(t *testing.T, to string, n int64) (at string, stalled <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	done := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil || !first {
				_ = in.Close()
				continue
			}
			t.Cleanup(func() { _, _ = in.Close(), out.Close() })
			go func() { _, _ = io.Copy(out, in) }()
			go func() {
				if _, err := io.CopyN(in, out, n); err == nil {
					close(done)
				}
			}()
		}
	}()
	return l.Addr().String(), done
}

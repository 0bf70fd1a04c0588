package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// binaryEnv names the built program for the tests, which TestMain makes once.
const binaryEnv = "GENIE_TEST_BINARY"

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "genie-cli-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "genie")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(binaryEnv, binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

const (
	basic  = "../../testdata/gpt2/basic"
	austen = "../../testdata/models/austen"
)

// result is what a run of the program left.
type result struct {
	code           int
	stdout, stderr string
}

// command is the built program; a test that has not waited for it kills it.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), os.Getenv(binaryEnv), args...)
}

// cli runs the program to its end.
func cli(t *testing.T, args ...string) result {
	t.Helper()
	cmd := command(t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// decode runs the program, which has to succeed, and reads its JSON.
func decode[T any](t *testing.T, args ...string) T {
	t.Helper()
	r := cli(t, args...)
	require.Zero(t, r.code, "%v: %s", args, r.stderr)
	require.Empty(t, r.stderr)
	var v T
	d := json.NewDecoder(strings.NewReader(r.stdout))
	require.NoError(t, d.Decode(&v), r.stdout)
	_, err := d.Token()
	require.ErrorIs(t, err, io.EOF, "more than one JSON value")
	return v
}

// child is a running worker.
type child struct {
	cmd    *exec.Cmd
	lines  *bufio.Reader
	urls   []string
	stderr *bytes.Buffer
}

// startChild starts a worker and reads its listening lines. It ends with the
// test if not before.
func startChild(t *testing.T, listen []string, more ...string) *child {
	t.Helper()
	args := []string{"worker"}
	for _, u := range listen {
		args = append(args, "--listen", u)
	}
	c := &child{cmd: command(t, append(args, more...)...), stderr: &bytes.Buffer{}}
	c.cmd.Stderr = c.stderr
	stdout, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	})
	c.lines = bufio.NewReader(stdout)
	for range listen {
		text, err := c.lines.ReadString('\n')
		require.NoError(t, err)
		url, ok := strings.CutPrefix(text, "listening ")
		require.True(t, ok, text)
		c.urls = append(c.urls, strings.TrimSpace(url))
	}
	return c
}

// signal stops the worker and gives its exit code and the rest of its output.
func (c *child) signal(t *testing.T, s os.Signal) (code int, rest string) {
	t.Helper()
	require.NoError(t, c.cmd.Process.Signal(s))
	b, err := io.ReadAll(c.lines)
	require.NoError(t, err)
	_ = c.cmd.Wait()
	return c.cmd.ProcessState.ExitCode(), string(b)
}

func anyTCP() []string { return []string{"tcp://127.0.0.1:0"} }

func both() []string { return []string{"tcp://127.0.0.1:0", "grpc://127.0.0.1:0"} }

// alive reports whether a process exists.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	return err == nil && p.Signal(syscall.Signal(0)) == nil
}

// inProcess runs the program in the test.
func inProcess(ctx context.Context, stdin io.Reader, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, stdin, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/workloads/gpt2"
)

const model = "../../testdata/models/austen"

// TestMain runs the program itself in the processes that the tests start.
func TestMain(m *testing.M) {
	if os.Getenv("SERVE_EXAMPLE") != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// process is a running service.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	client *http.Client

	mu  sync.Mutex
	log bytes.Buffer
	new chan struct{} // the log has a new line
}

// Write receives the log.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.new <- struct{}{}:
	default:
	}
	return p.log.Write(b)
}

// waitLog waits until the log contains text.
func (p *process) waitLog(text string) {
	p.t.Helper()
	deadline := time.After(time.Minute)
	for {
		p.mu.Lock()
		has := strings.Contains(p.log.String(), text)
		p.mu.Unlock()
		if has {
			return
		}
		select {
		case <-p.new:
		case <-deadline:
			require.FailNow(p.t, "the log lacks "+text)
		}
	}
}

// start starts the program as a separate process, on a free port.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, new: make(chan struct{}, 1), client: &http.Client{
		Transport: &http.Transport{ExpectContinueTimeout: time.Minute}, Timeout: time.Minute,
	}}
	p.cmd = exec.CommandContext(t.Context(), os.Args[0], append([]string{"-listen", "127.0.0.1:0", "-model", model}, args...)...)
	p.cmd.Env = append(os.Environ(), "SERVE_EXAMPLE=1", "XDG_CACHE_HOME="+t.TempDir())
	p.cmd.Stderr = p
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.client.CloseIdleConnections()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	require.True(t, ok, line)
	p.url = "http://" + address
	return p
}

// end asks the process to end and returns its exit code.
func (p *process) end() int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	return p.wait()
}

func (p *process) wait() int {
	p.t.Helper()
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// post sends a request and returns the status and the body.
func (p *process) post(body io.Reader, header http.Header) (int, string, error) {
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+"/generate", body)
	if err != nil {
		return 0, "", err
	}
	r.Header = header
	res, err := p.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

func (p *process) get(path string) (int, error) {
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		return 0, err
	}
	res, err := p.client.Do(r)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// goldens are transformers' greedy continuations of prompts.
type golden struct {
	New     int `json:"new"`
	Prompts []struct {
		Text   string `json:"text"`
		Greedy []int  `json:"greedy"`
	} `json:"prompts"`
}

// goldens returns prompts and the texts of transformers' 30 greedy tokens.
func goldens(t *testing.T) (prompts, texts []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(model, "golden.json"))
	require.NoError(t, err)
	var g golden
	require.NoError(t, json.Unmarshal(data, &g))
	m, err := gpt2.Load(t.Context(), model, gpt2.LoadOptions{Hashes: "off"})
	require.NoError(t, err)
	defer m.Close()
	for _, p := range g.Prompts {
		text, err := m.Tokenizer.Decode(p.Greedy[:30])
		require.NoError(t, err)
		prompts, texts = append(prompts, p.Text), append(texts, text)
	}
	require.Greater(t, len(prompts), 2)
	return prompts, texts
}

// TestConcurrentRequests sends concurrent requests and compares every
// generation with transformers'; the model is in the service's process and on a
// worker.
func TestConcurrentRequests(t *testing.T) {
	prompts, texts := goldens(t)
	w := workertest.Start(t, nil)
	for _, executor := range []string{"local:", "tcp://" + w.TCP} {
		t.Run(executor[:5], func(t *testing.T) {
			p := start(t, "-executor", executor)
			status, err := p.get("/readyz")
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status)
			var all sync.WaitGroup
			got := make([]string, 12)
			for i := range got {
				all.Go(func() {
					body, _ := json.Marshal(request{Prompt: prompts[i%len(prompts)], MaxNew: 30})
					status, text, err := p.post(bytes.NewReader(body), nil)
					got[i] = fmt.Sprint(status, err, text)
					var a answer
					if status == http.StatusOK && json.Unmarshal([]byte(text), &a) == nil {
						got[i] = a.Text
					}
				})
			}
			all.Wait()
			for i := range got {
				require.Equal(t, texts[i%len(texts)], got[i], prompts[i%len(prompts)])
			}
			require.Zero(t, p.end())
		})
	}
}

// slowBody is the body of a request from a slow client: begun reports that the
// server asked for it, which it does when the request has its place.
type slowBody struct {
	begun, rest chan struct{}
	once        sync.Once
	text        io.Reader
}

func newSlowBody(text string) *slowBody {
	return &slowBody{begun: make(chan struct{}), rest: make(chan struct{}), text: strings.NewReader(text)}
}

func (b *slowBody) Read(p []byte) (int, error) {
	b.once.Do(func() { close(b.begun) })
	<-b.rest
	return b.text.Read(p)
}

type result struct {
	status int
	text   string
	err    error
}

// hold starts a request that has its place and waits for its body.
func (p *process) hold(body *slowBody) chan result {
	done := make(chan result, 1)
	go func() {
		status, text, err := p.post(body, http.Header{"Expect": {"100-continue"}})
		done <- result{status, text, err}
	}()
	<-body.begun
	return done
}

// TestDrain ends the service during a request: the request gets its generation,
// new ones are refused, and the process exits with 0.
func TestDrain(t *testing.T) {
	p := start(t, "-max-running", "1")
	body := newSlowBody(`{"prompt": "It is a truth", "max_new": 10}`)
	done := p.hold(body)

	status, text, err := p.post(strings.NewReader(`{"prompt": "It", "max_new": 1}`), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, status, text) // one place, taken

	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.waitLog("draining")
	close(body.rest)
	got := <-done
	require.NoError(t, got.err)
	require.Equal(t, http.StatusOK, got.status, got.text)
	require.Contains(t, got.text, `"tokens":10`)
	require.Zero(t, p.wait())
	p.waitLog("drained")
	_, err = p.get("/healthz")
	require.Error(t, err)
}

// TestDrainEnds checks that a request which does not finish does not delay the
// service: the exit code reports that it was cut short.
func TestDrainEnds(t *testing.T) {
	p := start(t, "-drain", "10ms")
	body := newSlowBody(`{}`)
	done := p.hold(body)
	require.Equal(t, 1, p.end())
	p.waitLog("1 requests were cut short")
	close(body.rest)
	<-done
}

func TestBadRequests(t *testing.T) {
	p := start(t)
	for body, want := range map[string]int{
		`{"prompt": "It", "max_new": 0}`:      http.StatusBadRequest,
		`{"prompt": "It", "max_new": 100000}`: http.StatusBadRequest,
		`{"prompt": "", "max_new": 1}`:        http.StatusBadRequest,
		`no JSON`:                             http.StatusBadRequest,
		`{"prompt": "` + strings.Repeat("word ", 2000) + `", "max_new": 1}`: http.StatusBadRequest, // longer than the context
		`{"prompt": "` + strings.Repeat("x", maxBody) + `"}`:                http.StatusBadRequest,
	} {
		status, text, err := p.post(strings.NewReader(body), nil)
		require.NoError(t, err)
		require.Equal(t, want, status, text)
		require.Contains(t, text, `"error"`)
	}
	require.Zero(t, p.end())
}

func TestFailures(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, tt := range []struct {
		name string
		code int
		args []string
		says string
	}{
		{"no worker", 1, []string{"-model", model, "-executor", "tcp://127.0.0.1:1"}, "unreachable"},
		{"no model", 1, []string{"-model", t.TempDir()}, "config.json"},
		{"no address", 1, []string{"-model", model, "-listen", "nowhere"}, "nowhere"},
		{"no limit", 2, []string{"-max-running", "0"}, "limits"},
		{"unknown flag", 2, []string{"-nothing"}, "-nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			require.Equal(t, tt.code, run(context.WithoutCancel(t.Context()), tt.args, &out, &errs))
			require.Contains(t, errs.String(), tt.says)
			require.Empty(t, out.String())
		})
	}
}

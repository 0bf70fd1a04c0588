//go:build unix

package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// replaced has two models that differ only in their weights, and their
// continuations of 1, 5, 9: see its README.
const (
	replaced  = "../../testdata/replaced"
	oldTokens = "70 70 70 74 74 74\n"
	newTokens = "16 16 16 29 29 71\n"
)

func continued(executor, model string) []string {
	return []string{
		"generate", "--model", model, "--tokens", "1,5,9", "--max-new", "6", "--ignore-eos", "--hashes", "off", "--executor", executor,
	}
}

// copied is a model's folder in dir, under a name.
func copied(t *testing.T, model string, to ...string) string {
	t.Helper()
	dir := filepath.Join(to...)
	require.NoError(t, os.MkdirAll(filepath.Dir(dir), 0o700))
	require.NoError(t, os.CopyFS(dir, os.DirFS(model)))
	return dir
}

// inPlace changes a model's file in place.
var inPlace = map[string]func(t *testing.T, path string){
	"to nothing":   func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Truncate(path, 0)) },
	"to its names": func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Truncate(path, 5000)) },
	"to a half":    func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Truncate(path, 20_000)) },
	"by a byte": func(t *testing.T, path string) {
		t.Helper()
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(path, info.Size()-1))
	},
	"and made longer": func(t *testing.T, path string) {
		t.Helper()
		require.NoError(t, os.Truncate(path, 0))
		require.NoError(t, os.Truncate(path, 1<<20))
	},
	"and written anew": func(t *testing.T, path string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(replaced, "new", "model.safetensors"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, b, 0o600))
	},
}

// TestWorkerSurvivesACutModel changes a model in place that a worker has open.
// Clients that name it send their own weights, others notice nothing
// (ggml-org/llama.cpp#6774, NVIDIA/TensorRT-LLM#17368).
func TestWorkerSurvivesACutModel(t *testing.T) {
	for name, change := range inPlace {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			served := copied(t, filepath.Join(replaced, "old"), dir, "served", "cur")
			own := copied(t, filepath.Join(replaced, "old"), dir, "own", "cur")
			other := copied(t, filepath.Join(replaced, "new"), dir, "other", "cur")
			w := startChild(t, both(), "--models", filepath.Dir(served), "--hashes", "off")
			r := cli(t, continued(w.urls[0], other)...) // opens what the worker has, and sends its own
			require.Equal(t, newTokens, r.stdout, r.stderr)
			change(t, filepath.Join(served, "model.safetensors"))
			for _, url := range w.urls {
				r := cli(t, continued(url, own)...)
				require.Zero(t, r.code, r.stderr)
				require.Equal(t, oldTokens, r.stdout)
				r = cli(t, continued(url, other)...)
				require.Equal(t, newTokens, r.stdout, r.stderr)
			}
			require.NoError(t, os.RemoveAll(served))
			copied(t, filepath.Join(replaced, "old"), dir, "served", "cur")
			r = cli(t, continued(w.urls[1], own)...)
			require.Equal(t, oldTokens, r.stdout, r.stderr)
		})
	}
}

// TestClientSurvivesACutModel cuts a model that a client has open: its runs fail
// with [transport.ErrCorrupt] that names the file, other models of the client
// run, and so does this one when it is loaded again.
func TestClientSurvivesACutModel(t *testing.T) {
	w := startChild(t, both())
	for _, url := range append([]string{"local:"}, w.urls...) {
		for _, policy := range []string{"blind", "resident", "full"} {
			t.Run(url[:4]+"/"+policy, func(t *testing.T) {
				dir := copied(t, basic, t.TempDir(), "m")
				path := filepath.Join(dir, "model.safetensors")
				whole, err := os.ReadFile(path)
				require.NoError(t, err)
				// Another element, so that no worker has the weights.
				whole[len(whole)-1] ^= byte(len(url))
				whole[len(whole)-2] ^= policy[0]
				for i := len(whole) - 4; i > len(whole)-400_000; i -= 4 { // every tensor is another one
					whole[i] ^= policy[0] ^ url[0]
				}
				require.NoError(t, os.WriteFile(path, whole, 0o600))
				p, err := semantic.PolicyNamed(policy)
				require.NoError(t, err)
				client, err := genie.Open(t.Context(), url, genie.WithPolicy(p))
				require.NoError(t, err)
				defer client.Close()
				m, err := gpt2.Load(t.Context(), dir, gpt2.LoadOptions{Hashes: "off"})
				require.NoError(t, err)
				defer m.Close()
				require.NoError(t, os.Truncate(path, 30_000))
				run := func(m *gpt2.Model) error {
					s, err := client.NewSession(t.Context())
					require.NoError(t, err)
					defer s.Close()
					_, err = genie.Generate(t.Context(), s, m.LM, genie.GenerateRequest{Prompts: [][]int{{1, 5, 9}}, MaxNew: 3, IgnoreEOS: true})
					return err
				}
				for range 2 {
					err = run(m)
					require.ErrorIs(t, err, transport.ErrCorrupt)
					require.ErrorContains(t, err, path)
				}
				good, err := gpt2.Load(t.Context(), basic, gpt2.LoadOptions{Hashes: "off"})
				require.NoError(t, err)
				defer good.Close()
				require.NoError(t, run(good))
				require.NoError(t, os.WriteFile(path, whole, 0o600))
				again, err := gpt2.Load(t.Context(), dir, gpt2.LoadOptions{Hashes: "off"})
				require.NoError(t, err)
				defer again.Close()
				require.NoError(t, run(again))
			})
		}
	}
}

// cutting passes connections on to a worker, and cuts a file short when so many
// bytes of an upload have passed.
func cutting(t *testing.T, url, path string, after int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	scheme, to, _ := strings.Cut(url, "://")
	var passing sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); passing.Wait() })
	passing.Go(func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			_ = a.(*net.TCPConn).SetReadBuffer(16 << 10) // so that not all of it is on its way at once
			b, err := net.DialTimeout("tcp", to, time.Minute)
			if err != nil {
				_ = a.Close()
				continue
			}
			passing.Go(func() { _, _ = io.Copy(a, b); _ = a.Close() })
			passing.Go(func() {
				if n, _ := io.CopyN(b, a, int64(after)); n == int64(after) {
					_ = os.Truncate(path, 4096)
				}
				_, _ = io.Copy(b, a)
				_ = b.Close()
			})
		}
	})
	return scheme + "://" + l.Addr().String()
}

// TestCutUpload cuts a model while the program sends it: one line, exit code 1.
func TestCutUpload(t *testing.T) {
	w := startChild(t, both())
	for _, url := range w.urls {
		dir := copied(t, austen, t.TempDir(), "m")
		r := cli(t, "generate", "--model", dir, "--tokens", "1", "--max-new", "1", "--hashes", "off",
			"--executor", cutting(t, url, filepath.Join(dir, "model.safetensors"), 300<<10))
		require.Equal(t, 1, r.code, r.stderr)
		require.Contains(t, r.stderr, "model.safetensors")
		require.Contains(t, r.stderr, "cut short")
		require.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)
		r = cli(t, continued(url, filepath.Join(replaced, "new"))...)
		require.Equal(t, newTokens, r.stdout, r.stderr)
	}
}

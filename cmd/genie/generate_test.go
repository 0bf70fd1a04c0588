package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/safetensors"
)

// golden is the first prompt of the checkpoint basic with its greedy
// continuation.
func golden(t *testing.T) (prompt string, greedy []int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(basic, "golden.json"))
	require.NoError(t, err)
	var g struct {
		Prompts [][]int `json:"prompts"`
		Greedy  [][]int `json:"greedy"`
	}
	require.NoError(t, json.Unmarshal(b, &g))
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(g.Prompts[0]), " ", ","), "[]"), g.Greedy[0]
}

func TestGenerateIsTheSameEverywhere(t *testing.T) {
	w := startChild(t, both())
	prompt, greedy := golden(t)
	n := len(greedy)
	var first []byte
	for _, executor := range append([]string{"local:"}, w.urls...) {
		for _, policy := range []string{"blind", "resident", "full"} {
			t.Run(executor[:4]+"/"+policy, func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "logits.safetensors")
				r := decode[generateReport](t, "generate", "--model", basic, "--tokens", prompt, "--max-new", strconv.Itoa(n),
					"--executor", executor, "--policy", policy, "--ignore-eos", "--greedy", "--logits-out", out, "--json")
				require.Equal(t, greedy, r.Tokens)
				require.Equal(t, policy, r.Policy)
				require.Equal(t, executor, r.Executor)
				require.Equal(t, "length", string(r.Finish))
				logits, err := os.ReadFile(out)
				require.NoError(t, err)
				if first == nil {
					first = logits
				}
				require.Equal(t, first, logits, "bits of the logits")
				remote := executor != "local:"
				require.Equal(t, remote, r.RemoteOps > int64(n))
				require.Equal(t, remote, r.RoundTrips >= int64(n))
				require.Equal(t, remote, sum(r.Wire.Sent) > 0 && sum(r.Wire.Received) > 0)
				if remote {
					require.Equal(t, w.cmd.Process.Pid, r.WorkerPID)
				} else {
					require.Zero(t, r.WorkerPID)
				}
			})
		}
	}
}

func TestLogitsFile(t *testing.T) {
	for _, n := range []int{1, 4} {
		out := filepath.Join(t.TempDir(), "l.safetensors")
		decode[generateReport](t, "generate", "--model", basic, "--tokens", "5, 6,7", "--max-new", strconv.Itoa(n), "--ignore-eos", "--logits-out", out, "--json")
		f, err := safetensors.Open(out)
		require.NoError(t, err)
		for name, rows := range map[string]int64{"prefill": 3, "step": int64(n) - 1} {
			x, ok := f.Tensor(name)
			require.True(t, ok)
			require.Equal(t, safetensors.F32, x.DType)
			require.Equal(t, []int64{rows, 128}, x.Shape)
		}
		require.NoError(t, f.Close())
	}
}

// The fields that scripts read exist under these names.
func TestGenerateJSONFields(t *testing.T) {
	w := startChild(t, anyTCP())
	m := decode[map[string]any](t, "generate", "--model", austen, "--prompt", "It is a truth", "--max-new", "5", "--executor", w.urls[0], "--json")
	for _, key := range []string{
		"tokens", "text", "finish", "policy", "executor", "ttft_ms", "tok_per_s", "rtts", "wire", "remote_ops", "worker_pid",
	} {
		require.Contains(t, m, key)
	}
	require.Len(t, m["tokens"], 5)
	require.NotEmpty(t, m["text"])
	for _, direction := range []string{"sent", "received"} {
		for _, cause := range []string{"weights", "kv", "activation", "logits", "token", "plan", "control"} {
			require.Contains(t, m["wire"].(map[string]any)[direction], cause)
		}
	}
	m = decode[map[string]any](t, "generate", "--model", basic, "--tokens", "1", "--max-new", "1", "--json")
	require.NotContains(t, m, "worker_pid")
	require.Equal(t, 0.0, m["remote_ops"])
}

func TestGenerateText(t *testing.T) {
	args := []string{"generate", "--model", austen, "--prompt", "It is a truth", "--max-new", "12"}
	text := cli(t, args...)
	require.Zero(t, text.code, text.stderr)
	require.Empty(t, text.stderr)
	r := decode[generateReport](t, append(args, "--json")...)
	require.Equal(t, r.Text+"\n", text.stdout)

	ids := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "3")
	require.Zero(t, ids.code, ids.stderr)
	require.Regexp(t, `^\d+ \d+ \d+\n$`, ids.stdout)
}

func TestGenerateSampling(t *testing.T) {
	sample := func(more ...string) []int {
		args := []string{"generate", "--model", austen, "--prompt", "It is", "--max-new", "16", "--ignore-eos", "--json"}
		return decode[generateReport](t, append(args, more...)...).Tokens
	}
	third := sample("--temperature", "0.9", "--seed", "3")
	require.Equal(t, third, sample("--temperature", "0.9", "--seed", "3"))
	require.NotEqual(t, third, sample("--temperature", "0.9", "--seed", "4"))
	require.Equal(t, sample(), sample("--greedy", "--seed", "4"))
	require.Equal(t, sample(), sample("--top-k", "1"))
	require.NotEqual(t, sample(), sample("--top-p", "0.99", "--seed", "1"))
}

func TestGenerateRefuses(t *testing.T) {
	model, tokens := []string{"--model", basic}, []string{"--tokens", "1"}
	with := func(args ...string) []string { return append(append(append([]string{}, model...), tokens...), args...) }
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no model", tokens, 2, "--model is missing"},
		{"no prompt", model, 2, "--prompt TEXT or --tokens IDS is missing"},
		{"both prompts", with("--prompt", "x"), 2, "exclude each other"},
		{"empty prompt", []string{"--model", basic, "--prompt", ""}, 2, "--prompt is empty"},
		{"bad tokens", []string{"--model", basic, "--tokens", "1,,2"}, 2, "not a list of token ids"},
		{"negative token", []string{"--model", basic, "--tokens", "-1"}, 2, "not a list of token ids"},
		{"unknown flag", with("--nonsense"), 2, "unknown flag: --nonsense"},
		{"bad number", with("--max-new", "many"), 2, "--max-new"},
		{"none new", with("--max-new", "0"), 2, "--max-new is 0"},
		{"greedy and temperature", with("--greedy", "--temperature", "1"), 2, "exclude each other"},
		{"temperature", with("--temperature", "-1"), 2, "--temperature"},
		{"not a temperature", with("--temperature", "NaN"), 2, "--temperature"},
		{"top-p", with("--top-p", "0"), 2, "--top-p"},
		{"top-k", with("--top-k", "-1"), 2, "--top-k"},
		{"policy", with("--policy", "greedy"), 2, "there are blind, resident and full"},
		{"executor", with("--executor", "http://x:1"), 2, "http://x:1"},
		{"argument", with("extra"), 2, `takes no argument "extra"`},
		{"no such model", []string{"--model", "/nowhere", "--tokens", "1"}, 1, "/nowhere"},
		{"no checkpoint", []string{"--model", ".", "--tokens", "1"}, 1, "config.json"},
		{"no tokenizer", []string{"--model", basic, "--prompt", "x"}, 1, "no tokenizer.json"},
		{"token outside", []string{"--model", basic, "--tokens", "1,128"}, 1, "token 128 at position 1"},
		{"logits nowhere", with("--logits-out", "/nowhere/x.safetensors"), 1, "/nowhere"},
		{"unreachable", with("--executor", "tcp://127.0.0.1:1"), 1, "unreachable: tcp://127.0.0.1:1"},
		{"unreachable by gRPC", with("--executor", "grpc://127.0.0.1:1"), 1, "grpc://127.0.0.1:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := cli(t, append([]string{"generate"}, c.args...)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
			require.True(t, strings.HasPrefix(r.stderr, "genie: "), r.stderr)
			require.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)
			require.Empty(t, r.stdout)
		})
	}
}

// Ctrl-C in the middle of a text ends the program and leaves the worker be.
func TestGenerateInterrupted(t *testing.T) {
	w := startChild(t, anyTCP())
	for _, executor := range []string{"local:", w.urls[0]} {
		cmd := command(t, "generate", "--model", austen, "--tokens", "1", "--max-new", "250", "--ignore-eos",
			"--policy", "blind", "--executor", executor)
		cmd.Env = append(os.Environ(), "GENIE_CPU=generic") // slow enough to be in the middle
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		require.NoError(t, cmd.Start())
		// The first word is out: it is in the middle.
		_, err = stdout.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		err = cmd.Wait()
		require.Error(t, err)
		require.Equal(t, 130, cmd.ProcessState.ExitCode(), stderr.String())
		require.Equal(t, "genie: interrupted\n", stderr.String())
	}
	r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "2", "--executor", w.urls[0])
	require.Zero(t, r.code, r.stderr)
}

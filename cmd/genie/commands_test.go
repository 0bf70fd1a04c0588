package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDemo(t *testing.T) {
	r := decode[demoReport](t, "demo", "--max-new", "6", "--json")
	require.True(t, r.Identical)
	require.Len(t, r.Tokens, 6)
	require.NotEmpty(t, strings.TrimSpace(r.Text))
	require.Len(t, r.Runs, 4)
	for i, name := range []string{"local", "blind", "resident", "full"} {
		run := r.Runs[i]
		require.Equal(t, name, run.Name)
		require.Equal(t, r.Tokens, run.Tokens)
		if name == "local" {
			require.Zero(t, run.WorkerPID)
			continue
		}
		require.Equal(t, r.WorkerPID, run.WorkerPID)
		require.Positive(t, run.RemoteOps)
		trips := 1.0
		if name == "full" {
			trips = 0 // the loop came with the prefill
		}
		require.InDelta(t, trips, run.PerToken.RoundTrips, 0)
	}
	blind, resident, full := r.Runs[1].PerToken, r.Runs[2].PerToken, r.Runs[3].PerToken
	require.Positive(t, blind.Sent["weights"])
	require.Zero(t, resident.Sent["weights"])
	require.Positive(t, resident.Sent["kv"])
	require.Positive(t, r.Runs[2].Setup.Sent["weights"])
	require.Zero(t, r.Runs[3].Setup.Sent["weights"], "found by content")
	for _, moved := range []map[string]float64{full.Sent, full.Received} {
		total := 0.0
		for cause, n := range moved {
			total += n
			require.True(t, n == 0 || cause == "token" || cause == "control", "%s %g", cause, n)
		}
		require.LessOrEqual(t, total, 256.0)
	}
	require.False(t, alive(r.WorkerPID), "the worker is still there")
}

func TestDemoShowsATable(t *testing.T) {
	r := cli(t, "demo", "--max-new", "3", "--prompt", "It is")
	require.Zero(t, r.code, r.stderr)
	for _, want := range []string{"It is", "blind", "resident", "full", "tokens a second", "round trips", "weights", "kv"} {
		require.Contains(t, r.stdout, want)
	}
	for _, args := range [][]string{{"--max-new", "1"}, {"--max-new", "9999"}, {"--prompt", ""}} {
		require.Equal(t, 2, cli(t, append([]string{"demo"}, args...)...).code, args)
	}
}

func TestExplainFormats(t *testing.T) {
	for _, phase := range []string{"prefill", "decode"} {
		for _, policy := range []string{"blind", "full"} {
			args := []string{"explain", "--model", basic, "--phase", phase, "--policy", policy}
			e := decode[map[string]any](t, append(args, "--format", "json")...)
			require.Equal(t, "llm_"+phase, e["phase"])
			for _, key := range []string{"nodes", "edges", "kv_caches", "plan", "buffer_bytes"} {
				require.NotEmpty(t, e[key], key)
			}
			text := cli(t, args...)
			require.Zero(t, text.code, text.stderr)
			require.Contains(t, text.stdout, "phase llm_"+phase)
			dot := cli(t, append(args, "--format", "dot")...)
			require.Zero(t, dot.code, dot.stderr)
			require.Equal(t, strings.Count(dot.stdout, "{"), strings.Count(dot.stdout, "}"))
			require.True(t, strings.HasPrefix(dot.stdout, "digraph "))
		}
	}
	former := cli(t, "explain", "--model", basic, "--phase", "decode", "--policy", "semantic")
	require.Zero(t, former.code, former.stderr)
	require.Contains(t, former.stdout, "policy full", "the former name of a policy")
	for _, args := range [][]string{
		{"--phase", "decode"},
		{"--model", basic},
		{"--model", basic, "--phase", "train"},
		{"--model", basic, "--phase", "decode", "--format", "xml"},
		{"--model", basic, "--phase", "decode", "--seq", "2"},
		{"--model", basic, "--phase", "prefill", "--seq", "1", "--past", "3"},
		{"--model", basic, "--phase", "decode", "--past", "9999"},
		{"--model", basic, "--phase", "decode", "--format", "dot", "--json"},
	} {
		r := cli(t, append([]string{"explain"}, args...)...)
		require.Equal(t, 2, r.code, "%v: %s", args, r.stderr)
	}
}

func TestModelsNew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "tiny")
	args := []string{"models", "new", "gpt2-tiny", "--seed", "7", "--out", dir, "--dtype", "bf16"}
	m := decode[map[string]any](t, append(args, "--json")...)
	require.Equal(t, "gpt2-tiny", m["preset"])
	first, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	require.NoError(t, err)
	r := decode[generateReport](t, "generate", "--model", dir, "--tokens", "1,2", "--max-new", "4", "--ignore-eos", "--json")
	require.Len(t, r.Tokens, 4)

	again := cli(t, args...)
	require.Equal(t, 1, again.code)
	require.Contains(t, again.stderr, "--force")
	again = cli(t, append(args, "--force")...)
	require.Zero(t, again.code, again.stderr)
	second, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	require.NoError(t, err)
	require.Equal(t, first, second)

	image := filepath.Join(t.TempDir(), "resnet")
	m = decode[map[string]any](t, "models", "new", "resnet-18", "--out", image, "--dtype", "f16", "--json")
	require.EqualValues(t, 11699112, m["parameters"])
	for _, name := range []string{"config.json", "preprocessor_config.json", "model.safetensors"} {
		require.FileExists(t, filepath.Join(image, name))
	}

	list := decode[[]preset](t, "models", "--json")
	require.Len(t, list, len(presets()))
	for _, p := range list {
		require.Positive(t, p.Parameters, p.Name)
		require.Equal(t, 4*p.Parameters, p.Bytes, p.Name)
	}
	for _, args := range [][]string{
		{"new"}, {"new", "gpt5", "--out", dir}, {"new", "gpt2-tiny"}, {"new", "gpt2-tiny", "--out", dir, "--dtype", "int8"}, {"old"},
	} {
		require.Equal(t, 2, cli(t, append([]string{"models"}, args...)...).code, args)
	}
}

func TestDoctor(t *testing.T) {
	w := startChild(t, anyTCP())
	r := decode[doctorReport](t, "doctor", "--executor", w.urls[0], "--json")
	require.True(t, r.OK)
	last := r.Checks[len(r.Checks)-1]
	require.Equal(t, "executor", last.Name)
	require.InDelta(t, w.cmd.Process.Pid, last.Values["pid"], 0)

	bad := cli(t, "doctor", "--executor", "tcp://127.0.0.1:1")
	require.Equal(t, 1, bad.code)
	require.Contains(t, bad.stdout, "tcp://127.0.0.1:1")
	require.Contains(t, bad.stderr, "1 of")
}

func TestHelpAndMistakes(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"worker", "--help"}, {"models", "--help"}} {
		r := cli(t, args...)
		require.Zero(t, r.code, r.stderr)
		require.Contains(t, r.stdout, "Usage:")
	}
	r := cli(t, "genrate")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.stderr, `did you mean "generate"?`)
	require.Equal(t, 2, cli(t, "--nonsense").code)
	v := decode[versionReport](t, "version", "--json")
	require.Positive(t, v.Wire)
	require.Zero(t, cli(t, "version").code)
}

func TestErrorsAreOneLine(t *testing.T) {
	err := errors.Join(errors.New("genie: first"), errors.New("genie: second\r\nthird"))
	require.Equal(t, "first; second; third", line(err))
}

func TestEndedContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	r := inProcess(ctx, strings.NewReader(""), "generate", "--model", basic, "--tokens", "1")
	require.Equal(t, 1, r.code)
	require.Empty(t, r.stdout)
	signalled, end := context.WithCancelCause(context.Background())
	end(&signalError{os.Interrupt})
	r = inProcess(signalled, strings.NewReader(""), "generate", "--model", basic, "--tokens", "1")
	require.Equal(t, 130, r.code)
}

func TestFormats(t *testing.T) {
	for n, want := range map[float64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 150 << 20: "150 MiB"} {
		require.Equal(t, want, formatBytes(n))
	}
	require.Equal(t, "30.8 k", millions(30800))
}

package systems

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func start(t *testing.T) *System {
	t.Helper()
	p, err := Start(t.Context(), PyTorch, useFake(t, "echo"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func TestUnavailable(t *testing.T) {
	t.Setenv(EnvPython, "")
	t.Setenv(EnvCache, t.TempDir())
	for name, python := range map[string]string{
		"unset":  "",
		"absent": filepath.Join(t.TempDir(), "python"),
	} {
		_, err := Start(t.Context(), PyTorch, Options{Python: python})
		require.ErrorIs(t, err, ErrUnavailable, name)
		require.ErrorContains(t, err, "set GENIE_PYTHON=/path/to/python", name)
		require.ErrorContains(t, err, "baselines/systems/python/requirements.txt", name)
	}
}

func TestStartFails(t *testing.T) {
	for _, c := range []struct {
		mode  string
		is    error
		texts []string
	}{
		{"crash", ErrUnavailable, []string{"exit status 3", "\t100%", "cannot open shared object"}},
		{"missing", ErrUnavailable, []string{"No module named 'torch'", "import torch", "GENIE_PYTHON"}},
		{"broken", ErrProgram, []string{"pytorch: ValueError: wrong"}},
		{"garbage", ErrProtocol, []string{`"Trac"`}},
		{"huge", ErrProtocol, []string{"4294967295 bytes"}},
		{"notjson", ErrProtocol, nil},
		{"nogreeting", ErrProtocol, []string{"no greeting"}},
	} {
		t.Run(c.mode, func(t *testing.T) {
			_, err := Start(t.Context(), PyTorch, useFake(t, c.mode))
			require.ErrorIs(t, err, c.is)
			for _, s := range c.texts {
				require.ErrorContains(t, err, s)
			}
			require.Equal(t, errors.Is(c.is, ErrUnavailable), strings.Contains(err.Error(), "GENIE_PYTHON"))
		})
	}
}

func TestUnknownProgram(t *testing.T) {
	_, err := Start(t.Context(), "../wire", useFake(t, "echo"))
	require.ErrorContains(t, err, "no reference system program")
}

func TestCall(t *testing.T) {
	p := start(t)
	require.Equal(t, map[string]string{"fake": "1.0"}, p.Versions())
	require.NotEqual(t, os.Getpid(), p.PID())
	in := map[string]Tensor{
		"b": {DType: "i64", Shape: []int{1}, Data: []byte("12345678")},
		"a": F32([]float32{1, 2, -3, 0.5}, 2, 2),
		"e": {DType: "f32", Shape: []int{0, 7}, Data: []byte{}},
	}
	for range 2 {
		var back map[string]int
		out, err := p.Call(t.Context(), "echo", map[string]int{"x": 4}, in, &back)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"x": 4}, back)
		require.Equal(t, in, out)
		require.Equal(t, []float32{1, 2, -3, 0.5}, out["a"].Float32s())
	}
	_, err := p.Call(t.Context(), "echo", nil, map[string]Tensor{"x": {DType: "f32", Shape: []int{2}, Data: []byte("1234")}}, nil)
	require.ErrorIs(t, err, ErrProtocol)
}

func TestEnvironment(t *testing.T) {
	p := start(t)
	var env []string
	_, err := p.Call(t.Context(), "environment", nil, nil, &env)
	require.NoError(t, err)
	for _, want := range []string{
		"GENIE_SYSTEM_THREADS=3", "OMP_NUM_THREADS=3", "MKL_NUM_THREADS=3", "OPENBLAS_NUM_THREADS=3", "HF_HUB_OFFLINE=1",
	} {
		require.True(t, slices.Contains(env, want), want)
	}
}

func TestErrorsOfProgram(t *testing.T) {
	p := start(t)
	_, err := p.Call(t.Context(), "raise", nil, nil, nil)
	var raised *ProgramError
	require.ErrorAs(t, err, &raised)
	require.ErrorIs(t, err, ErrProgram)
	require.NotErrorIs(t, err, ErrUnavailable)
	require.EqualError(t, err, "genie: reference system program: pytorch: raise: KeyError: x\n\ta\n\tb")
	_, err = p.Call(t.Context(), "lacks", nil, nil, nil)
	require.ErrorIs(t, err, ErrUnavailable)
	_, err = p.Call(t.Context(), "echo", nil, nil, nil) // it still answers
	require.NoError(t, err)
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		op   string
		is   error
		text string
	}{
		{"die", ErrEnded, "exit status 9"},
		{"cut", ErrEnded, "unexpected EOF"},
		{"bytes", ErrProtocol, "17 bytes"},
		{"other", ErrProtocol, "answer 2 to request 1"},
	} {
		t.Run(c.op, func(t *testing.T) {
			p := start(t)
			_, err := p.Call(t.Context(), c.op, nil, nil, nil)
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.text)
			require.Equal(t, c.op == "die", strings.Contains(err.Error(), "out of memory"))
			_, again := p.Call(t.Context(), "echo", nil, nil, nil)
			require.ErrorIs(t, again, c.is, "a broken reference system stays so")
		})
	}
}

func TestContextEndsCall(t *testing.T) {
	p := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := p.Call(ctx, "hang", nil, nil, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, ErrEnded)
	<-p.ended
	_, err = p.Call(t.Context(), "echo", nil, nil, nil)
	require.ErrorIs(t, err, ErrEnded)
}

func TestContextEndsSystem(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := Start(ctx, PyTorch, useFake(t, "echo"))
	require.NoError(t, err)
	cancel()
	<-p.ended
	require.NoError(t, p.Close())
}

func TestClose(t *testing.T) {
	p, err := Start(t.Context(), PyTorch, useFake(t, "child"))
	require.NoError(t, err)
	require.DirExists(t, p.dir)
	called := make(chan error)
	go func() {
		_, err := p.Call(context.Background(), "hang", nil, nil, nil)
		called <- err
	}()
	// Close returns when standard error has ended, which the child keeps open.
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	require.ErrorIs(t, <-called, ErrEnded)
	require.NoDirExists(t, p.dir)
}

func TestGenerate(t *testing.T) {
	m, err := OpenLLM(t.Context(), LlamaCPP, useFake(t, "echo"), Load{})
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	require.Equal(t, 3, m.Threads)
	g, err := m.Generate(t.Context(), Generate{Prompts: [][]int{{1, 2}}, New: 2, Logits: true})
	require.NoError(t, err)
	require.Equal(t, &Generation{
		Tokens: [][]int{{5, 6}}, TTFT: 7, Steps: []time.Duration{8}, Logits: make([]float32, 6), Vocab: 3,
	}, g)
	for _, bad := range []Generate{
		{Prompts: [][]int{{1}, {2}}, New: 2},
		{Prompts: [][]int{{1}}, New: 3},
	} {
		_, err = m.Generate(t.Context(), bad)
		require.ErrorIs(t, err, ErrProtocol)
	}
}

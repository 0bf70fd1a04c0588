package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeSetup begins the modes of an interpreter that can make environments; the
// rest says what goes wrong.
const fakeSetup = "setup:"

// setUp is what such an interpreter does with its arguments.
func setUp(wrong string, args []string) int {
	line := strings.Join(args, " ")
	switch {
	case strings.Contains(line, "sys.version_info"):
		fmt.Println(map[bool]string{true: "3.9.1", false: "3.12.4"}[wrong == "old"])
	case strings.HasPrefix(line, "-m venv "):
		exe, err := os.Executable()
		bin := filepath.Join(args[2], "bin")
		if err = errors.Join(err, os.MkdirAll(bin, 0o700), os.Symlink(exe, filepath.Join(bin, "python"))); err != nil {
			fmt.Println(err)
			return 1
		}
	case strings.HasPrefix(line, "-m pip install "):
		if !strings.Contains(os.Getenv("CMAKE_ARGS"), "-DGGML_RPC=ON") || !slices.Contains(args, "--constraint") {
			return 7
		}
		if wrong == "hang" {
			_ = os.WriteFile(os.Getenv("GENIE_PEER_FAKE_HANGS"), nil, 0o600)
			select {}
		}
		if wrong == "build" && strings.Contains(line, "llama") || wrong == "network" {
			fmt.Println("error: no compiler\nERROR: failed")
			return 1
		}
		fmt.Println("  Downloading a_b-1.2-py3-none-any.whl.metadata (3 kB)\n  Downloading a_b-1.2-py3-none-any.whl (3.4 MB)")
	case strings.HasPrefix(line, "-c import"):
		if wrong == "import" && strings.Contains(line, "ray") {
			fmt.Println("ImportError: ray")
			return 1
		}
	default:
		return 9
	}
	return 0
}

// fakeSetupIn prepares a fake interpreter and an empty cache folder.
func fakeSetupIn(t *testing.T, wrong string) SetupOptions {
	t.Helper()
	exe := useFake(t, fakeSetup+wrong).Python
	t.Setenv(EnvPython, "")
	t.Setenv(EnvCache, t.TempDir())
	return SetupOptions{Python: exe}
}

func TestSetup(t *testing.T) {
	o := fakeSetupIn(t, "")
	require.ErrorContains(t, Available(PyTorch), "genie bench setup")
	require.ErrorIs(t, Available(PyTorch), ErrUnavailable)
	var said []string
	o.Said = func(line string) { said = append(said, line) }
	e, made, err := Setup(t.Context(), o)
	require.NoError(t, err)
	require.True(t, made)
	require.Empty(t, e.Missing)
	require.Equal(t, "3.12.4", e.Python)
	require.Contains(t, said, "  a-b 1.2, 3.4 MB")
	require.NotContains(t, strings.Join(said, "\n"), "metadata")
	for _, p := range []string{PyTorch, PyTorchRPC, Ray, ONNXRuntime, LlamaCPP, LlamaCPPRPC, ResNet} {
		require.NoError(t, Available(p))
	}
	_, made, err = Setup(t.Context(), o)
	require.NoError(t, err)
	require.False(t, made, "it is up to date")
	o.Rebuild = true
	_, made, err = Setup(t.Context(), o)
	require.NoError(t, err)
	require.True(t, made)
	o.Rebuild, o.Skip = false, []string{"llama"}
	_, made, err = Setup(t.Context(), o)
	require.NoError(t, err)
	require.True(t, made, "another choice")
	require.ErrorContains(t, Available(LlamaCPP), leftOut)
	require.NoError(t, Available(Ray))
}

func TestSetupWithoutGroup(t *testing.T) {
	for wrong, program := range map[string]string{"build": LlamaCPPRPC, "import": Ray} {
		t.Run(wrong, func(t *testing.T) {
			_, made, err := Setup(t.Context(), fakeSetupIn(t, wrong))
			require.NoError(t, err)
			require.True(t, made)
			err = Available(program)
			require.ErrorIs(t, err, ErrUnavailable)
			require.ErrorContains(t, err, "genie bench setup")
			require.ErrorContains(t, err, map[string]string{"build": "no compiler", "import": "ImportError"}[wrong])
			require.NoError(t, Available(PyTorchRPC))
		})
	}
}

func TestSetupFails(t *testing.T) {
	for wrong, text := range map[string]string{"network": "no compiler", "old": "Python 3.9.1"} {
		_, _, err := Setup(t.Context(), fakeSetupIn(t, wrong))
		require.ErrorContains(t, err, text)
		dir, err := EnvironmentDir()
		require.NoError(t, err)
		require.NoDirExists(t, dir)
	}
	_, _, err := Setup(t.Context(), SetupOptions{Skip: []string{groupTorch}})
	require.ErrorContains(t, err, "no group")
}

// TestSetupInterrupted holds that nothing is left, and that it can be repeated.
func TestSetupInterrupted(t *testing.T) {
	o := fakeSetupIn(t, "hang")
	hangs := filepath.Join(t.TempDir(), "hangs")
	t.Setenv("GENIE_PEER_FAKE_HANGS", hangs)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted")
	go func() {
		for range time.Tick(time.Millisecond) {
			if _, err := os.Stat(hangs); err == nil {
				_, _, second := Setup(ctx, o)
				cancel(errors.Join(stop, second))
				return
			}
		}
	}()
	_, _, err := Setup(ctx, o)
	require.ErrorIs(t, err, stop)
	require.ErrorContains(t, err, "is setting the environment up", "a second one is kept out")
	dir, err := EnvironmentDir()
	require.NoError(t, err)
	require.NoDirExists(t, dir)
	require.NoFileExists(t, dir+".lock")
	t.Setenv(envFake, fakeSetup)
	_, made, err := Setup(t.Context(), o)
	require.NoError(t, err)
	require.True(t, made)
}

// TestFindHalf holds that what a killed setup leaves is not taken for whole.
func TestFindHalf(t *testing.T) {
	o := fakeSetupIn(t, "")
	e, _, err := Setup(t.Context(), o)
	require.NoError(t, err)
	stamp := filepath.Join(e.Dir, stampName)
	for text, want := range map[string]string{
		"":                                 "not completed",
		"{":                                "unexpected end",
		`{"python": "3.12.4", "hash": ""}`: "other requirements",
	} {
		require.NoError(t, os.Remove(stamp))
		if text != "" {
			require.NoError(t, os.WriteFile(stamp, []byte(text), 0o600))
		}
		_, err := Find()
		require.ErrorIs(t, err, ErrUnavailable)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "genie bench setup")
		_, made, err := Setup(t.Context(), o)
		require.NoError(t, err)
		require.True(t, made)
	}
	require.NoError(t, os.WriteFile(e.Dir+".lock", []byte("999999999"), 0o600))
	o.Rebuild = true
	_, _, err = Setup(t.Context(), o)
	require.NoError(t, err, "the lock of a process that has ended")
}

func TestGroups(t *testing.T) {
	var names []string
	for _, g := range Groups() {
		names = append(names, g.Name)
		require.NotEmpty(t, g.Packages)
		for _, p := range g.Packages {
			require.Regexp(t, `^[a-z-]+==[0-9.]+$`, p)
		}
		require.NotEmpty(t, modules(g.Name))
	}
	require.Equal(t, []string{"torch", "onnxruntime", "ray", "llama"}, names)
}

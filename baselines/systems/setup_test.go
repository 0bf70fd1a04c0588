package systems

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
		require.Empty(t, cacheNames(t))
	}
	_, _, err := Setup(t.Context(), SetupOptions{Skip: []string{groupTorch}})
	require.ErrorContains(t, err, "no group")
}

// TestFindHalf checks that the remains of a killed setup do not count as
// complete.
func TestFindHalf(t *testing.T) {
	o := fakeSetupIn(t, "")
	e, _, err := Setup(t.Context(), o)
	require.NoError(t, err)
	for text, want := range map[string]string{
		"":                                 "not completed",
		"{":                                "unexpected end",
		`{"python": "3.12.4", "hash": ""}`: "other requirements",
	} {
		stamp := filepath.Join(e.Dir, stampName)
		require.NoError(t, os.Remove(stamp))
		if text != "" {
			require.NoError(t, os.WriteFile(stamp, []byte(text), 0o600))
		}
		_, err := Find()
		require.ErrorIs(t, err, ErrUnavailable)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "genie bench setup")
		var made bool
		e, made, err = Setup(t.Context(), o)
		require.NoError(t, err)
		require.True(t, made)
	}
	link, err := EnvironmentDir()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(link+".lock", []byte("999999999"), 0o600))
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

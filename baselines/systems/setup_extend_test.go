package systems

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSetupTriesAgain checks that a second setup installs only the groups that
// failed, and that the environment works whether they fail again or not.
func TestSetupTriesAgain(t *testing.T) {
	for wrong, c := range map[string]struct {
		program  string
		packages []string
	}{
		"build":  {LlamaCPP, []string{"gguf", "llama-cpp-python"}},
		"import": {Ray, []string{"ray", "grpcio"}},
	} {
		t.Run(wrong, func(t *testing.T) {
			o := fakeSetupIn(t, wrong)
			first, _, err := Setup(t.Context(), o)
			require.NoError(t, err)
			require.Len(t, fakeInstalls(t), 11)
			before := contents(t, first.Dir)

			e, made, err := Setup(t.Context(), o)
			require.NoError(t, err)
			require.False(t, made)
			require.Equal(t, first, e)
			require.Equal(t, c.packages, fakeInstalls(t))
			require.Equal(t, before, contents(t, first.Dir))
			require.NoError(t, Available(PyTorch))
			require.ErrorIs(t, Available(c.program), ErrUnavailable)
			require.Len(t, cacheNames(t), 2)

			interruptSetup(t, o, "wait:"+c.packages[0])
			require.Equal(t, before, contents(t, first.Dir))
			require.Len(t, cacheNames(t), 2)
			fakeInstalls(t)

			t.Setenv(envFake, fakeSetup)
			e, made, err = Setup(t.Context(), o)
			require.NoError(t, err)
			require.True(t, made)
			require.Empty(t, e.Missing)
			require.Equal(t, c.packages, fakeInstalls(t))
			require.NoError(t, Available(c.program))
			require.NoError(t, Available(ONNXRuntime))
			require.Equal(t, []string{linkName, filepath.Base(e.Dir)}, cacheNames(t))
			requireWhole(t, e)

			e, made, err = Setup(t.Context(), o)
			require.NoError(t, err)
			require.False(t, made)
			require.Empty(t, e.Missing)
			require.Empty(t, fakeInstalls(t))
		})
	}
}

// requireWhole requires that all packages are present, with scripts that run
// the interpreter of their own folder.
func requireWhole(t *testing.T, e *Environment) {
	t.Helper()
	for _, g := range Groups() {
		for _, p := range g.Packages {
			name, _, _ := strings.Cut(p, "==")
			require.FileExists(t, filepath.Join(e.Dir, "lib", name+".py"))
			script, err := os.ReadFile(filepath.Join(e.Dir, "bin", name))
			require.NoError(t, err)
			require.Equal(t, "#!"+e.Interpreter()+"\n", string(script))
			info, err := os.Stat(filepath.Join(e.Dir, "bin", name))
			require.NoError(t, err)
			require.NotZero(t, info.Mode()&0o100)
		}
	}
	require.FileExists(t, e.Interpreter())
}

// TestSetupAddsSkipped checks that a skipped group is added alone, that naming
// it again leaves it out, and that skipping a failed group only changes the
// recorded reason.
func TestSetupAddsSkipped(t *testing.T) {
	o := fakeSetupIn(t, "build")
	o.Skip = []string{"ray"}
	first, _, err := Setup(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, leftOut, first.Missing["ray"])
	fakeInstalls(t)

	t.Setenv(envFake, fakeSetup)
	e, made, err := Setup(t.Context(), o)
	require.NoError(t, err)
	require.True(t, made)
	require.Equal(t, []string{"gguf", "llama-cpp-python"}, fakeInstalls(t), "what failed, and not what is left out")
	require.Equal(t, map[string]string{"ray": leftOut}, e.Missing)

	t.Setenv(envFake, fakeSetup+"import")
	o.Skip = nil
	e, made, err = Setup(t.Context(), o)
	require.NoError(t, err)
	require.False(t, made)
	require.Equal(t, []string{"ray", "grpcio"}, fakeInstalls(t))
	require.Contains(t, e.Missing["ray"], "ImportError")

	o.Skip = []string{"ray"}
	e, made, err = Setup(t.Context(), o)
	require.NoError(t, err)
	require.False(t, made)
	require.Empty(t, fakeInstalls(t))
	require.Equal(t, map[string]string{"ray": leftOut}, e.Missing)
	found, err := Find()
	require.NoError(t, err)
	require.Equal(t, e, found)

	t.Setenv(envFake, fakeSetup)
	o.Skip = nil
	e, made, err = Setup(t.Context(), o)
	require.NoError(t, err)
	require.True(t, made)
	require.Equal(t, []string{"ray", "grpcio"}, fakeInstalls(t))
	require.Empty(t, e.Missing)
	requireWhole(t, e)
}

// TestSetupAddsNothingThatBreaks checks that a group is rejected if it installs
// but removes another one's packages.
func TestSetupAddsNothingThatBreaks(t *testing.T) {
	o := fakeSetupIn(t, "")
	o.Skip = []string{"ray"}
	first, _, err := Setup(t.Context(), o)
	require.NoError(t, err)
	before := contents(t, os.Getenv(EnvCache))
	t.Setenv(envFake, fakeSetup+"clash")
	o.Skip = nil
	_, _, err = Setup(t.Context(), o)
	require.ErrorContains(t, err, "--rebuild")
	require.Equal(t, before, contents(t, os.Getenv(EnvCache)))
	found, err := Find()
	require.NoError(t, err)
	require.Equal(t, first, found)
}

// TestCopyEnvironment checks what a copy shares with its original.
func TestCopyEnvironment(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "longer")
	write := func(name, text string, mode os.FileMode) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(from, name), []byte(text), mode))
	}
	write("lib/x.py", from, 0o600)
	write("bin/x", "#!"+from+"/bin/python\n", 0o700)
	write("bin/binary", "\x00"+from, 0o700)
	write("pyvenv.cfg", "command = python -m venv "+from, 0o600)
	write(stampName, "{}", 0o600)
	write(inUseName, "", 0o600)
	write(scratchName+"/pip", "", 0o600)
	require.NoError(t, os.Symlink("lib", filepath.Join(from, "lib64")))
	require.NoError(t, os.Symlink(filepath.Join(from, "bin", "x"), filepath.Join(from, "bin", "y")))
	before := contents(t, from)
	require.NoError(t, copyEnvironment(t.Context(), from, to))
	require.Equal(t, map[string]string{
		"lib/x.py": from, "bin/x": "#!" + to + "/bin/python\n", "bin/binary": "\x00" + from,
		"pyvenv.cfg": "command = python -m venv " + to, "lib64": "lib", "bin/y": filepath.Join(to, "bin", "x"),
	}, contents(t, to))
	require.Equal(t, before, contents(t, from))

	copied := filepath.Join(to, "copied")
	require.NoError(t, copyFile(filepath.Join(from, "lib/x.py"), copied))
	a, err := os.Stat(filepath.Join(from, "lib/x.py"))
	require.NoError(t, err)
	b, err := os.Stat(copied)
	require.NoError(t, err)
	require.Equal(t, a.ModTime(), b.ModTime())
	require.Equal(t, a.Mode(), b.Mode())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, copyEnvironment(ctx, from, filepath.Join(t.TempDir(), "b")), context.Canceled)
}

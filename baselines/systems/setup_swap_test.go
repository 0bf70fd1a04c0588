package systems

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

// result is what Setup returned.
type result struct {
	e    *Environment
	made bool
	err  error
}

// setupBeside starts a setup and sends its result.
func setupBeside(ctx context.Context, o SetupOptions) <-chan result {
	done := make(chan result, 1)
	go func() {
		e, made, err := Setup(ctx, o)
		done <- result{e, made, err}
	}()
	return done
}

// TestSetupBeside checks that the existing environment works until another one
// replaces it, and is then removed.
func TestSetupBeside(t *testing.T) {
	for name, o := range map[string]SetupOptions{"rebuild": {Rebuild: true}, "skip": {Skip: []string{"ray"}}} {
		t.Run(name, func(t *testing.T) {
			base := fakeSetupIn(t, "")
			first, _, err := Setup(t.Context(), base)
			require.NoError(t, err)
			before := contents(t, first.Dir)
			t.Setenv(envFake, fakeSetup+"wait:llama")
			o.Python = base.Python
			done := setupBeside(t.Context(), o)
			goOn := fakeWaits(t)
			found, err := Find()
			require.NoError(t, err)
			require.Equal(t, first, found)
			require.Equal(t, before, contents(t, first.Dir))
			for _, program := range []string{PyTorch, Ray, LlamaCPP, ONNXRuntime} {
				require.NoError(t, Available(program))
			}
			require.Len(t, cacheNames(t), 4, "the link, the lock and two folders")
			goOn()
			r := <-done
			require.NoError(t, r.err)
			require.True(t, r.made)
			require.NotEqual(t, first.Dir, r.e.Dir)
			found, err = Find()
			require.NoError(t, err)
			require.Equal(t, r.e, found)
			require.Equal(t, name == "rebuild", Available(Ray) == nil)
			require.Equal(t, []string{linkName, filepath.Base(found.Dir)}, cacheNames(t))
			link, err := EnvironmentDir()
			require.NoError(t, err)
			require.FileExists(t, filepath.Join(link, stampName), "the link leads there")
			require.NoDirExists(t, found.scratch())
		})
	}
}

// TestSetupInterrupted checks that a failed or interrupted setup changes
// nothing, whatever existed, and that a second one is kept out meanwhile.
func TestSetupInterrupted(t *testing.T) {
	for _, there := range []bool{false, true} {
		for _, stage := range []string{"torch", "llama", "network"} {
			t.Run(map[bool]string{true: "there/", false: "empty/"}[there]+stage, func(t *testing.T) {
				o := fakeSetupIn(t, "")
				before := map[string]string{}
				if there {
					e, _, err := Setup(t.Context(), o)
					require.NoError(t, err)
					require.NotNil(t, e)
					before = contents(t, os.Getenv(EnvCache))
				}
				o.Rebuild = true
				if stage == "network" {
					t.Setenv(envFake, fakeSetup+stage)
					_, _, err := Setup(t.Context(), o)
					require.ErrorContains(t, err, "no compiler")
				} else {
					interruptSetup(t, o, "wait:"+stage)
				}
				require.Equal(t, before, contents(t, os.Getenv(EnvCache)))
				if there {
					require.NoError(t, Available(LlamaCPP))
				} else {
					require.Empty(t, cacheNames(t))
				}
				t.Setenv(envFake, fakeSetup)
				_, made, err := Setup(t.Context(), o)
				require.NoError(t, err)
				require.True(t, made)
			})
		}
	}
}

// interruptSetup ends a setup while it installs something.
func interruptSetup(t *testing.T, o SetupOptions, mode string) {
	t.Helper()
	t.Setenv(envFake, fakeSetup+mode)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted")
	done := setupBeside(ctx, o)
	fakeWaits(t)
	_, _, second := Setup(t.Context(), o)
	require.ErrorContains(t, second, "is setting the environment up")
	cancel(stop)
	r := <-done
	require.ErrorIs(t, r.err, stop)
	require.NoError(t, os.Remove(os.Getenv(envFakeWaits)))
}

// TestSetupWhileUpToDate checks that a setup with nothing to do neither waits
// for, nor fails because of, one that makes another environment.
func TestSetupWhileUpToDate(t *testing.T) {
	o := fakeSetupIn(t, "")
	first, _, err := Setup(t.Context(), o)
	require.NoError(t, err)
	t.Setenv(envFake, fakeSetup+"wait:llama")
	again := o
	again.Rebuild = true
	done := setupBeside(t.Context(), again)
	goOn := fakeWaits(t)
	e, made, err := Setup(t.Context(), o)
	require.NoError(t, err)
	require.False(t, made)
	require.Equal(t, first, e)
	goOn()
	require.NoError(t, (<-done).err)
}

// TestSetupMigrates checks that an environment in a folder of the link's name,
// which earlier versions made, works, is extended, and is replaced.
func TestSetupMigrates(t *testing.T) {
	for _, o := range []SetupOptions{{Rebuild: true}, {}} {
		base := fakeSetupIn(t, "build")
		o.Python = base.Python
		e, _, err := Setup(t.Context(), base)
		require.NoError(t, err)
		link, err := EnvironmentDir()
		require.NoError(t, err)
		require.NoError(t, os.Remove(link))
		require.NoError(t, os.Rename(e.Dir, link))
		require.NoError(t, os.WriteFile(filepath.Join(link, "bin", "ray"), []byte("#!"+venvPython(link)+"\n"), 0o700))
		found, err := Find()
		require.NoError(t, err)
		require.Equal(t, link, found.Dir)
		require.NoError(t, Available(Ray))
		t.Setenv(envFake, fakeSetup)
		e, made, err := Setup(t.Context(), o)
		require.NoError(t, err)
		require.True(t, made)
		require.Equal(t, []string{linkName, filepath.Base(e.Dir)}, cacheNames(t))
		require.NoError(t, Available(LlamaCPP))
		script, err := os.ReadFile(filepath.Join(e.Dir, "bin", "ray"))
		require.NoError(t, err)
		require.Equal(t, "#!"+e.Interpreter()+"\n", string(script))
	}
}

// TestLinkIsFile checks that a file replaces a link where links cannot be made,
// and that nothing other than an environment folder is followed.
func TestLinkIsFile(t *testing.T) {
	o := fakeSetupIn(t, "")
	e, _, err := Setup(t.Context(), o)
	require.NoError(t, err)
	link, err := EnvironmentDir()
	require.NoError(t, err)
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.WriteFile(link, []byte(filepath.Base(e.Dir)+"\n"), 0o600))
	found, err := Find()
	require.NoError(t, err)
	require.Equal(t, e, found)
	_, made, err := Setup(t.Context(), o)
	require.NoError(t, err)
	require.False(t, made)
	for _, text := range []string{"", ".", "..", "../" + filepath.Base(e.Dir), strings.Repeat("x", 1<<20)} {
		require.NoError(t, os.WriteFile(link, []byte(text), 0o600))
		_, err := Find()
		require.ErrorIs(t, err, ErrUnavailable, "%.20q", text)
	}
	o.Rebuild = true
	_, made, err = Setup(t.Context(), o)
	require.NoError(t, err)
	require.True(t, made)
	require.Len(t, cacheNames(t), 2)
}

// TestLinkRecovers checks the recovery of a link whose setup was killed between
// the two steps that some systems need.
func TestLinkRecovers(t *testing.T) {
	o := fakeSetupIn(t, "")
	e, _, err := Setup(t.Context(), o)
	require.NoError(t, err)
	root := os.Getenv(EnvCache)
	require.NoError(t, os.Rename(filepath.Join(root, linkName), partialLink(root)))
	_, err = Find()
	require.ErrorIs(t, err, ErrUnavailable)
	found, made, err := Setup(t.Context(), o)
	require.NoError(t, err)
	require.False(t, made)
	require.Equal(t, e, found)
	require.Len(t, cacheNames(t), 2)
}

// TestSweepSpares checks that no setup removes files that no setup made, or an
// environment in which a program runs.
func TestSweepSpares(t *testing.T) {
	o := fakeSetupIn(t, "")
	first, _, err := Setup(t.Context(), o)
	require.NoError(t, err)
	root := os.Getenv(EnvCache)
	for _, name := range []string{"venv-old", "venv-3.12", "gguf"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, name), 0o700))
	}
	t.Setenv(envFake, "echo")
	p, err := Start(t.Context(), PyTorch, Options{})
	require.NoError(t, err)
	t.Setenv(envFake, fakeSetup)
	o.Rebuild = true
	second, _, err := Setup(t.Context(), o)
	require.NoError(t, err)
	require.FileExists(t, first.Interpreter())
	_, err = p.Call(t.Context(), "echo", nil, nil, nil)
	require.NoError(t, err)
	require.NoError(t, p.Close())
	o.Rebuild = false
	_, made, err := Setup(t.Context(), o)
	require.NoError(t, err)
	require.False(t, made)
	require.Equal(t, []string{"gguf", linkName, "venv-3.12", filepath.Base(second.Dir), "venv-old"}, cacheNames(t))
}

// TestSetupSaysWhatIsUnderWay checks that a step that prints nothing more is
// reported, with its last line as text for a terminal.
func TestSetupSaysWhatIsUnderWay(t *testing.T) {
	o := fakeSetupIn(t, "wait:llama")
	o.interval = time.Millisecond
	goOn := func() { require.NoError(t, os.WriteFile(os.Getenv(envFakeWaits)+".go", nil, 0o600)) }
	var steps []SetupStep
	o.Step = func(s SetupStep) {
		if strings.Contains(s.Last, "[7/9]") {
			if steps = append(steps, s); len(steps) == 3 {
				goOn()
			}
		}
	}
	_, _, err := Setup(t.Context(), o)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(steps), 3)
	for i, s := range steps {
		require.Equal(t, "llama", s.Name)
		require.Regexp(t, `^\[7/9\] Building ggml\.o o{170,}…$`, s.Last)
		require.Len(t, []rune(s.Last), lastRunes)
		require.True(t, i == 0 || s.Elapsed > steps[i-1].Elapsed)
	}
}

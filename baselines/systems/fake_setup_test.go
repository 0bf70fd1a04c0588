package systems

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeSetup begins the modes of an interpreter that can make environments; the
// rest selects what fails, and after ":" in which installation.
const fakeSetup = "setup:"

// Environment variables of such an interpreter.
const (
	// envFakeLog names the file to which it appends its arguments.
	envFakeLog = "GENIE_SYSTEM_FAKE_LOG"
	// envFakeWaits names the file to which it writes its number when it waits
	// for the file of that name with ".go".
	envFakeWaits = "GENIE_SYSTEM_FAKE_WAITS"
)

// setUp carries out its arguments.
func setUp(wrong string, args []string) int {
	line := strings.Join(args, " ")
	if err := logFake(line); err != nil {
		fmt.Println(err)
		return 1
	}
	wrong, with, _ := strings.Cut(wrong, ":")
	venv := filepath.Dir(filepath.Dir(os.Args[0]))
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
		if !strings.Contains(os.Getenv("CMAKE_ARGS"), "-DGGML_RPC=ON") || !slices.Contains(args, "--constraint") ||
			os.Getenv("TMPDIR") != filepath.Join(venv, scratchName) {
			return 7
		}
		if wrong == "wait" && strings.Contains(line, with) {
			waitFake()
		}
		if wrong == "build" && strings.Contains(line, "llama") || wrong == "network" {
			fmt.Println("error: no compiler\nERROR: failed")
			return 1
		}
		fmt.Println("  Downloading a_b-1.2-py3-none-any.whl.metadata (3 kB)\n  Downloading a_b-1.2-py3-none-any.whl (3.4 MB)")
		return installFake(venv, args)
	case strings.HasPrefix(line, "-c import"):
		if wrong == "import" && strings.Contains(line, "ray") || wrong == "clash" && strings.Contains(line, "torch") {
			fmt.Println("ImportError: ray")
			return 1
		}
	default:
		return 9
	}
	return 0
}

func logFake(line string) error {
	path := os.Getenv(envFakeLog)
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

// waitFake prints what a compiler would, and waits.
func waitFake() {
	path := os.Getenv(envFakeWaits)
	fmt.Print("[7/9] Building \x1b[31mggml\x1b[0m\x07.o\t\u202e" + strings.Repeat("o", 1<<21) + "\n")
	_ = os.WriteFile(path+".new", strconv.AppendInt(nil, int64(os.Getpid()), 10), 0o600)
	_ = os.Rename(path+".new", path)
	for range time.Tick(time.Millisecond) {
		if _, err := os.Stat(path + ".go"); err == nil {
			return
		}
	}
}

// installFake installs a module and a script of each package, as pip does: it
// first removes existing ones of that name.
func installFake(venv string, args []string) int {
	python := filepath.Join(venv, "bin", "python")
	for _, a := range args {
		name, _, pinned := strings.Cut(a, "==")
		if !pinned {
			continue
		}
		module, script := filepath.Join(venv, "lib", name+".py"), filepath.Join(venv, "bin", name)
		_, _ = os.Remove(module), os.Remove(script)
		err := errors.Join(os.MkdirAll(filepath.Dir(module), 0o700), os.WriteFile(module, []byte(name), 0o600),
			os.WriteFile(script, []byte("#!"+python+"\n"), 0o700))
		if err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

// fakeSetupIn prepares a fake interpreter and an empty cache folder.
func fakeSetupIn(t *testing.T, wrong string) SetupOptions {
	t.Helper()
	exe := useFake(t, fakeSetup+wrong).Python
	t.Setenv(EnvPython, "")
	t.Setenv(EnvCache, t.TempDir())
	t.Setenv(envFakeLog, filepath.Join(t.TempDir(), "log"))
	t.Setenv(envFakeWaits, filepath.Join(t.TempDir(), "waits"))
	return SetupOptions{Python: exe}
}

// fakeWaits returns when an interpreter waits; it may be told to continue.
func fakeWaits(t *testing.T) (goOn func()) {
	t.Helper()
	path := os.Getenv(envFakeWaits)
	require.Eventually(t, func() bool {
		_, err := os.Stat(path)
		return err == nil
	}, time.Minute, time.Millisecond)
	return func() { require.NoError(t, os.WriteFile(path+".go", nil, 0o600)) }
}

// fakeInstalls are the packages installed since the last call.
func fakeInstalls(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(os.Getenv(envFakeLog))
	require.NoError(t, err)
	require.NoError(t, os.Remove(os.Getenv(envFakeLog)))
	var packages []string
	for l := range strings.Lines(string(text)) {
		if strings.HasPrefix(l, "-m pip install ") {
			for word := range strings.FieldsSeq(l) {
				if name, _, ok := strings.Cut(word, "=="); ok {
					packages = append(packages, name)
				}
			}
		}
	}
	return packages
}

// cacheNames are the names in the cache folder.
func cacheNames(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(os.Getenv(EnvCache))
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// contents are the files of a folder with their content, or the targets of
// links.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if e.Type() == os.ModeSymlink {
			files[rel], err = os.Readlink(path)
			return err
		}
		text, err := os.ReadFile(path)
		files[rel] = string(text)
		return err
	}))
	return files
}

package systems

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Group is a part of the requirements that is installed together.
type Group struct {
	Name     string
	Packages []string // pinned: name==version
}

// groupTorch is the group that every program needs; the others may be left out.
const groupTorch = "torch"

// Groups are those of the requirements that are built in, the first one needed.
func Groups() []Group {
	var groups []Group
	for l := range strings.Lines(requirements) {
		l = strings.TrimSpace(l)
		if name, ok := strings.CutPrefix(l, "# group: "); ok {
			groups = append(groups, Group{Name: name})
		} else if l != "" && l[0] != '#' {
			g := &groups[len(groups)-1]
			g.Packages = append(g.Packages, l)
		}
	}
	return groups
}

// modules are what has to be importable for a group to be there.
func modules(group string) string {
	switch group {
	case groupTorch:
		return "torch, transformers, safetensors, numpy"
	case "onnxruntime":
		return "onnx, onnxscript, onnxruntime"
	case "llama":
		return "gguf, llama_cpp"
	}
	return group
}

// stampName is the file that makes an environment valid. It is written last.
//
// The name is that of environments which were made under the former name of
// this package: they remain valid.
const stampName = "genie-peers.json"

// inUseName is the file that a program's owner locks while the program runs.
const inUseName = "genie-in-use"

// Environment is a virtual environment that [Setup] made.
type Environment struct {
	Dir    string `json:"-"`
	Python string `json:"python"` // version of the interpreter
	Hash   string `json:"hash"`   // of the requirements and that version
	// Missing are the groups that are not there, and why: left out, or what
	// their installation said last.
	Missing map[string]string `json:"missing"`
	Bytes   int64             `json:"bytes"` // that it takes on disk
}

// Interpreter is the path of the environment's Python.
func (e *Environment) Interpreter() string { return venvPython(e.Dir) }

func venvPython(dir string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(dir, "Scripts", "python.exe")
	}
	return filepath.Join(dir, "bin", "python")
}

// environmentHash names what an environment was made of.
func environmentHash(python string) string {
	sum := sha256.Sum256([]byte(requirements + "\n" + python))
	return hex.EncodeToString(sum[:])
}

// EnvironmentDir is the place of the environment: venv below GENIE_REFERENCE_SYSTEMS,
// or below genie/reference-systems in the user's cache folder. It is a link to the folder
// that [Environment.Dir] is.
func EnvironmentDir() (string, error) {
	root, err := cacheDir()
	return filepath.Join(root, linkName), err
}

// Find is the environment that [Setup] made. One that is not there, is not
// whole, or was made of other requirements than those that are built in is
// [ErrUnavailable].
func Find() (*Environment, error) {
	root, err := cacheDir()
	if err != nil {
		return nil, unavailable(err)
	}
	dir, err := currentFolder(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unavailable(fmt.Errorf("there is no %s", filepath.Join(root, linkName)))
	}
	if err != nil {
		return nil, unavailable(err)
	}
	e, err := readStamp(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, there := os.Stat(dir); there == nil {
			return nil, unavailable(fmt.Errorf("%s was not completed", dir))
		}
		return nil, unavailable(fmt.Errorf("there is no %s", dir))
	case err != nil:
		return nil, unavailable(err)
	case e.Hash != environmentHash(e.Python):
		return nil, unavailable(fmt.Errorf("%s was made of other requirements", dir))
	}
	if _, err := os.Stat(e.Interpreter()); err != nil {
		return nil, unavailable(err)
	}
	return e, nil
}

func readStamp(dir string) (*Environment, error) {
	path := filepath.Join(dir, stampName)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	e := &Environment{Dir: dir}
	if err := json.Unmarshal(text, e); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if e.Missing == nil {
		e.Missing = map[string]string{}
	}
	return e, nil
}

// writeStamp makes an environment valid, or changes what a valid one is said to be.
func (e *Environment) writeStamp() error {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	partial := filepath.Join(e.Dir, stampName+".partial")
	if err := os.WriteFile(partial, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(partial, filepath.Join(e.Dir, stampName))
}

// folderBytes is what the files of a folder take, as their sizes say.
func folderBytes(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// Available is nil if a program could be started with what [Options] without an
// interpreter mean, and otherwise the [ErrUnavailable] that says why not. It
// starts nothing.
func Available(program string) error {
	_, _, err := interpreter(program, "")
	return err
}

// interpreter is the executable that is to run a program, and the environment
// that it is of, if it is of one.
func interpreter(program, python string) (string, *Environment, error) {
	if python == "" {
		python = os.Getenv(EnvPython)
	}
	if python == "" {
		e, err := Find()
		if err != nil {
			return "", nil, err
		}
		for _, g := range []string{groupTorch, groupOf(program)} {
			if why, missing := e.Missing[g]; missing {
				return "", nil, fmt.Errorf("%w: %s: 'genie bench setup' has no %s: %s", ErrUnavailable, program, g, why)
			}
		}
		return e.Interpreter(), e, nil
	}
	exe, err := exec.LookPath(python)
	if err != nil {
		return "", nil, unavailable(err)
	}
	return exe, nil, nil
}

// holdInterpreter is the executable that is to run a program. Until it is
// released no setup removes the environment that it is of.
func holdInterpreter(program, python string) (exe string, release func(), err error) {
	for range 10 { // each one that failed found an environment that another one replaced
		exe, e, err := interpreter(program, python)
		if err != nil || e == nil {
			return exe, func() {}, err
		}
		release, err := lockFile(filepath.Join(e.Dir, inUseName), true)
		switch {
		case err == nil:
			return exe, release, nil
		case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS): // who may not lock it may not remove it
			return exe, func() {}, nil
		case !errors.Is(err, errLocked) && !errors.Is(err, fs.ErrNotExist):
			return "", nil, unavailable(err)
		}
	}
	return "", nil, unavailable(errors.New("the environment is replaced over and over"))
}

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

// groupTorch is the group that every program needs; the others are optional.
const groupTorch = "torch"

// Groups are those of the embedded requirements, the required one first.
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

// modules must be importable for a group to be present.
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
// The name is that of environments made under the former name of this package:
// they remain valid.
const stampName = "genie-peers.json"

// inUseName is the file that a program's owner locks while the program runs.
const inUseName = "genie-in-use"

// Environment is a virtual environment that [Setup] made.
type Environment struct {
	Dir    string `json:"-"`
	Python string `json:"python"` // version of the interpreter
	Hash   string `json:"hash"`   // of the requirements and that version
	// Missing are the missing groups and the reasons: skipped, or the last
	// output of their installation.
	Missing map[string]string `json:"missing"`
	Bytes   int64             `json:"bytes"` // size on disk
}

// Interpreter is the path of the environment's Python.
func (e *Environment) Interpreter() string { return venvPython(e.Dir) }

func venvPython(dir string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(dir, "Scripts", "python.exe")
	}
	return filepath.Join(dir, "bin", "python")
}

// environmentHash identifies what an environment was made from.
func environmentHash(python string) string {
	sum := sha256.Sum256([]byte(requirements + "\n" + python))
	return hex.EncodeToString(sum[:])
}

// EnvironmentDir is the place of the environment: venv below
// GENIE_REFERENCE_SYSTEMS, or below genie/reference-systems in the user's cache
// folder. It is a link to the folder [Environment.Dir].
func EnvironmentDir() (string, error) {
	root, err := cacheDir()
	return filepath.Join(root, linkName), err
}

// Find returns the environment that [Setup] made. A missing or incomplete
// environment, or one made from other requirements than the embedded ones, is
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

// writeStamp makes an environment valid, or changes the recorded state of a
// valid one.
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

// folderBytes is the size of a folder's files.
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

// Available returns nil if a program could be started with [Options] without an
// interpreter, and otherwise the [ErrUnavailable] with the reason. It starts
// nothing.
func Available(program string) error {
	_, _, err := interpreter(program, "")
	return err
}

// interpreter is the executable that is to run a program, and the environment
// to which it belongs, if any.
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
// released no setup removes its environment.
func holdInterpreter(program, python string) (exe string, release func(), err error) {
	for range 10 { // each failed attempt found an environment that was being replaced
		exe, e, err := interpreter(program, python)
		if err != nil || e == nil {
			return exe, func() {}, err
		}
		release, err := lockFile(filepath.Join(e.Dir, inUseName), true)
		switch {
		case err == nil:
			return exe, release, nil
		case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS): // a user that may not lock it may not remove it
			return exe, func() {}, nil
		case !errors.Is(err, errLocked) && !errors.Is(err, fs.ErrNotExist):
			return "", nil, unavailable(err)
		}
	}
	return "", nil, unavailable(errors.New("the environment is being replaced repeatedly"))
}

//go:build genie_cuda

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/device/cuda/kernels/ptxas"
)

// boundsFile is beside the sources.
const boundsFile = "bounds.txt"

// tree is the folder of the kernels, which output is written to or compared with.
type tree struct {
	dir         string
	check       bool
	made        []string // output, relative to dir
	differences []error
}

// sources are the names of the .cu files, without extension.
func (t *tree) sources() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(t.dir, "*.cu"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("genie: %s has no kernels", t.dir)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".cu")
	}
	return files, nil
}

// put writes a file, or notes that it differs.
func (t *tree) put(name string, content []byte) error {
	t.made = append(t.made, name)
	path := filepath.Join(t.dir, name)
	if t.check {
		committed, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			t.differences = append(t.differences, fmt.Errorf("genie: %s is missing", path))
		case err != nil:
			return err
		case !bytes.Equal(committed, content):
			t.differences = append(t.differences, fmt.Errorf("genie: %s is not what its source compiles to", path))
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as other folders of a checkout
		return err
	}
	return os.WriteFile(path, content, 0o644) //nolint:gosec // as other files of a checkout
}

// prune removes output that no source has, or notes it.
func (t *tree) prune() error {
	var left []string
	err := filepath.WalkDir(filepath.Join(t.dir, "generated"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(t.dir, path)
		switch {
		case err != nil || slices.Contains(t.made, name):
			return err
		case t.check:
			t.differences = append(t.differences, fmt.Errorf("genie: %s has no source", path))
			return nil
		}
		left = append(left, path)
		return nil
	})
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

func (t *tree) bounds() ([]ptxas.Usage, error) {
	text, err := os.ReadFile(filepath.Join(t.dir, boundsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return ptxas.ReadBounds(string(text))
}

package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
)

// root opens files of the model directory and nothing outside it, whatever
// names an index contains and wherever links point.
//
// Only in Hugging Face's download cache do a model's files link out of their
// folder: snapshots/REVISION/model.safetensors points to ../../blobs/HASH, and
// a file in a folder of a revision to ../../../blobs/HASH. There the boundary
// is the cached repository, which contains both.
type root struct {
	dir    string // absolute, links resolved; only for messages where the caller opened the root
	files  *os.Root
	prefix string // of the model directory, below files
	theirs bool   // the caller opened files
}

// Boundary is the folder that no link of the model in dir may leave, and the
// path of dir in it. That is dir itself, with links resolved, or the cached
// repository of which dir is a revision, a folder of one, or the folder of all.
func Boundary(dir string) (boundary, prefix string, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", "", fmt.Errorf("resolve %s: %w", dir, err)
	}
	resolved, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", "", fileError(dir, err)
	}
	for at := resolved; filepath.Dir(at) != at; at = filepath.Dir(at) {
		if filepath.Base(at) != "snapshots" {
			continue
		}
		repo := filepath.Dir(at)
		if info, err := os.Stat(filepath.Join(repo, "blobs")); err == nil && info.IsDir() {
			prefix, err := filepath.Rel(repo, resolved)
			return repo, prefix, err //nolint:wrapcheck // both are absolute, so there is none
		}
	}
	return resolved, "", nil
}

func openRoot(dir string) (*root, error) {
	boundary, prefix, err := Boundary(dir)
	if err != nil {
		return nil, err
	}
	files, err := os.OpenRoot(boundary)
	if err != nil {
		return nil, fileError(dir, err)
	}
	return &root{dir: filepath.Join(boundary, prefix), files: files, prefix: prefix}, nil
}

// CheckIn checks whether there is a model in the directory name inside folder,
// without reading it. Its errors are those of [OpenIn].
func CheckIn(folder *os.Root, name string) error {
	r := &root{dir: filepath.Join(folder.Name(), name), files: folder, prefix: name, theirs: true}
	if err := r.check(configFile); err != nil {
		return err
	}
	err := r.check(singleFile)
	if errors.Is(err, ErrMissingFile) && r.check(indexFile) == nil {
		return nil
	}
	return err
}

func (r *root) check(name string) error {
	f, err := r.open(name)
	if err != nil {
		return err
	}
	return f.Close() //nolint:wrapcheck // nothing was read
}

// open opens the named file of the model directory, which must be a regular
// file: opening a pipe would block.
func (r *root) open(name string) (*os.File, error) {
	inside := filepath.Join(r.prefix, name)
	info, err := r.files.Stat(inside)
	if err != nil {
		return nil, fileError(r.path(name), err)
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{File: r.path(name), Reason: "not a regular file", Err: ErrCorrupt}
	}
	f, err := r.files.Open(inside)
	if err != nil {
		return nil, fileError(r.path(name), err)
	}
	return f, nil
}

// read reads a small file of the model directory; limit bounds its bytes.
func (r *root) read(name string, limit int64) ([]byte, error) {
	f, err := r.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fileError(r.path(name), err)
	}
	if int64(len(data)) > limit {
		return nil, &Error{File: r.path(name), Reason: fmt.Sprintf("larger than %d bytes", limit), Err: ErrCorrupt}
	}
	return data, nil
}

// write replaces a small file of the model directory, and nothing outside it.
func (r *root) write(name string, data []byte) error {
	return atomicfile.WriteIn(r.files, filepath.Join(r.prefix, name), data) //nolint:wrapcheck // names the path
}

func (r *root) path(name string) string { return filepath.Join(r.dir, name) }

func (r *root) close() error {
	if r.theirs {
		return nil
	}
	return r.files.Close() //nolint:wrapcheck // nothing to add
}

// fileError turns the system's error about a file into an *Error. Errors other
// than a missing file or one outside the directory stay unchanged.
func fileError(file string, err error) error {
	var typed *Error
	switch {
	case errors.As(err, &typed):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return &Error{File: file, Err: ErrMissingFile, Cause: err}
	case escapes(err):
		return &Error{File: file, Reason: "it is a link that leaves the model's folder or is absolute, which is not followed", Err: ErrOutside}
	default:
		return fmt.Errorf("open %s: %w", file, err)
	}
}

// escapes reports whether os.Root refused a path. The standard library does
// not export that error, only its text.
func escapes(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Err != nil && path.Err.Error() == "path escapes from parent"
}

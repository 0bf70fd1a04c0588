package systems

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// copyEnvironment copies an environment to an empty folder, without the stamp
// that makes it valid. It links files where possible: pip removes a file before
// it writes one of that name, so the other environment keeps its own.
func copyEnvironment(ctx context.Context, from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err = errors.Join(err, context.Cause(ctx)); err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case entry.IsDir() && rel == scratchName:
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(target, 0o750)
		case rel == stampName || rel == inUseName:
			return nil
		case entry.Type() == fs.ModeSymlink:
			return copyLink(path, target, from, to)
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is no file", path)
		case namesItsFolder(rel):
			return copyText(path, target, from, to)
		case os.Link(path, target) == nil: //nolint:gosec // both folders are the user's own
			return nil
		}
		return copyFile(path, target)
	})
}

// namesItsFolder reports whether a file of an environment may contain the path
// of the environment: scripts, and the description of it.
func namesItsFolder(rel string) bool {
	dir := filepath.Dir(rel)
	return dir == "." || dir == "bin" || dir == "Scripts"
}

// copyText copies a file and replaces the old path by the new one.
func copyText(path, target, from, to string) error {
	const limit = 1 << 20 // of scripts; an interpreter is larger
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > limit {
		return copyFile(path, target)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.ContainsRune(text, 0) { // otherwise it is binary, and lengths matter
		text = bytes.ReplaceAll(text, []byte(from), []byte(to))
	}
	return errors.Join(os.WriteFile(target, text, 0o600), os.Chmod(target, info.Mode().Perm()))
}

func copyLink(path, target, from, to string) error {
	leads, err := os.Readlink(path)
	if err != nil {
		return err
	}
	if rest, ok := strings.CutPrefix(leads, from+string(filepath.Separator)); ok {
		leads = filepath.Join(to, rest)
	}
	return os.Symlink(leads, target)
}

// copyFile copies a file with its mode, and with its time, by which Python
// recognises that compiled files are up to date.
func copyFile(path, target string) (err error) {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close(), os.Chtimes(target, info.ModTime(), info.ModTime()))
}

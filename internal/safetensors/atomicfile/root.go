package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// WriteIn is [WriteFile] of the file name inside root, and never outside it,
// whatever links there are. An existing target that is not a regular file, for
// example a link, is [ErrTarget].
func WriteIn(root *os.Root, name string, data []byte) error {
	switch info, err := root.Lstat(name); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("write %s: %w", name, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is of type %v", ErrTarget, name, info.Mode().Type())
	}
	tmp := temporary(name)
	f, err := root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("create temporary file for %s: %w", name, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = root.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), root.Remove(tmp))
	}
	return nil
}

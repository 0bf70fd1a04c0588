package checkpoint

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/blake3"

	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
)

// Limits of a folder of stored hashes. The least recently used are evicted
// first.
const (
	maxHashFiles = 1024
	maxHashTotal = 128 << 20
	// abandoned is the age from which an unfinished file is the remains of a
	// process that died. touchAfter is the age of a recorded use from which a
	// new one is recorded.
	abandoned  = time.Hour
	touchAfter = 24 * time.Hour
)

// cacheFolder stores the hashes of each weights file in a separate file, named
// by the identity of the weights file, so that any path to it finds them.
type cacheFolder struct{ dir string }

// path is the location of the hashes of a weights file.
func (c cacheFolder) path(name string, id identity) string {
	key := fmt.Sprintf("%d %d", id.Device, id.Inode)
	if id.Inode == 0 { // unknown: the header has to do
		key = name + " " + id.HeaderHash
	}
	sum := blake3.Sum256([]byte(key))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:16])+".json")
}

func (c cacheFolder) read(name string, id identity) (sidecarFile, error) {
	path := c.path(name, id)
	s, err := readSidecar(path)
	if err != nil {
		return sidecarFile{}, err
	}
	for _, f := range s.Files { // one
		if f.identity == id {
			if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > touchAfter {
				now := time.Now()
				_ = os.Chtimes(path, now, now)
			}
			return f, nil
		}
	}
	return sidecarFile{}, fs.ErrNotExist
}

func (c cacheFolder) write(files map[string]sidecarFile) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err //nolint:wrapcheck // *fs.PathError names the path
	}
	for name, f := range files {
		data, err := encodeSidecar(map[string]sidecarFile{name: f})
		if err != nil {
			return err
		}
		if err := atomicfile.WriteFile(c.path(name, f.identity), data); err != nil {
			return err //nolint:wrapcheck // names the path
		}
	}
	return c.prune()
}

func (c cacheFolder) drop(files map[string]identity) error {
	var errs error
	for name, id := range files {
		if err := os.Remove(c.path(name, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = errors.Join(errs, err)
		}
	}
	return errs
}

// prune keeps the folder within its limits. A file that another process has
// removed meanwhile is gone as well.
func (c cacheFolder) prune() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err //nolint:wrapcheck // *fs.PathError names the path
	}
	type file struct {
		path string
		size int64
		used time.Time
	}
	var kept []file
	total := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		path := filepath.Join(c.dir, e.Name())
		switch base, rest, _ := strings.Cut(e.Name(), ".json"); {
		case len(base) != 32 || strings.Trim(base, "0123456789abcdef") != "":
		case rest == "":
			kept = append(kept, file{path, info.Size(), info.ModTime()})
			total += info.Size()
		case strings.HasPrefix(rest, ".tmp-") && time.Since(info.ModTime()) > abandoned:
			_ = os.Remove(path)
		}
	}
	slices.SortFunc(kept, func(a, b file) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path)) })
	for n := len(kept); n > maxHashFiles || total > maxHashTotal; n-- {
		if err := os.Remove(kept[0].path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err //nolint:wrapcheck // *fs.PathError names the path
		}
		total -= kept[0].size
		kept = kept[1:]
	}
	return nil
}

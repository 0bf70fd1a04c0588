// Package weightcache stores uploaded weights in a folder, so that clients need
// not upload them again after a worker has restarted or has evicted them.
//
//	c, err := weightcache.Open("/var/cache/genie", weightcache.Options{})
//	if err != nil { ... }
//	defer c.Close()
//	w, err := c.Create(hash, size)
//
// A file is named by the hash of its content. It is written under another name,
// synced and renamed, so a file with a hash as its name was once complete.
// Disks and people change files, so every reader checks the hash, and a file
// with another hash is removed. The folder is bounded in bytes and files; the
// least recently used files are evicted first. Several workers may share a
// folder: its state is only in the folder itself.
package weightcache

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Options configure a cache.
type Options struct {
	// MaxBytes bounds the size of all files; 16 GiB when 0.
	MaxBytes int64
	// MaxEntries bounds their number; 8192 when 0.
	MaxEntries int
	// Files is the folder; nil for the one given to Open.
	Files Files
	// Now is the clock for times of use; nil for the system's.
	Now func() time.Time
}

// abandoned is the age from which an unfinished file counts as the remains of a
// worker that died.
const abandoned = time.Hour

// Cache is an open folder. It is safe for concurrent use.
type Cache struct {
	opts  Options
	files Files

	mu      sync.Mutex
	writing map[string]int64 // sizes that unfinished files will have, by name

	hits, misses, evicted atomic.Int64
	bytes, entries        atomic.Int64 // as of the last scan
}

// Stats is the activity of a cache since it was opened, and its content at the
// last scan.
type Stats struct{ Hits, Misses, Evictions, Bytes, Entries int64 }

// Open opens the folder dir and creates it if it does not exist. It evicts at
// once what exceeds the limits.
func Open(dir string, opts Options) (*Cache, error) {
	if opts.MaxBytes == 0 {
		opts.MaxBytes = 16 << 30
	}
	if opts.MaxEntries == 0 {
		opts.MaxEntries = 8192
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Files == nil {
		var err error
		if opts.Files, err = openFolder(dir); err != nil {
			return nil, fmt.Errorf("weight cache: %w", err)
		}
	}
	c := &Cache{opts: opts, files: opts.Files, writing: map[string]int64{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.shrink(0, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("weight cache: %w", err), c.files.Close())
	}
	return c, nil
}

// Close closes the folder. The files stay.
func (c *Cache) Close() error { return c.files.Close() }

// Stats gives the counters.
func (c *Cache) Stats() Stats {
	return Stats{c.hits.Load(), c.misses.Load(), c.evicted.Load(), c.bytes.Load(), c.entries.Load()}
}

// Load finds content of size bytes and passes it to take, which checks its
// hash. It reports whether the content was found and taken. A file of another
// size, or for which take returns [transport.ErrCorrupt], is removed.
func (c *Cache) Load(h plan.Hash, size int64, take func(io.Reader) error) (bool, error) {
	name := h.String()
	err := c.read(name, size, take)
	if err == nil {
		c.hits.Add(1)
		_ = c.files.Touch(name, c.opts.Now()) // marks the use; a failure matters little
		return true, nil
	}
	c.misses.Add(1)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if errors.Is(err, transport.ErrCorrupt) {
		err = errors.Join(err, c.files.Remove(name))
	}
	return false, err
}

func (c *Cache) read(name string, size int64, take func(io.Reader) error) error {
	f, err := c.files.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || !sizeOf(info.Size(), size) {
		return fmt.Errorf("%w: cached weight of %d bytes, it must have %d", transport.ErrCorrupt, info.Size(), size)
	}
	return take(io.LimitReader(f, size))
}

// entry is a file of the folder.
type entry struct {
	name string
	size int64
	used time.Time
}

// shrink removes files until there is room for the given bytes and files. The
// caller holds the lock.
func (c *Cache) shrink(bytes int64, files int) error {
	entries, total, err := c.look()
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.name, b.name))
	})
	n := len(entries) + len(c.writing)
	for _, e := range entries {
		if total+bytes <= c.opts.MaxBytes && n+files <= c.opts.MaxEntries {
			break
		}
		// A file that another worker has removed is gone as well.
		if err := c.files.Remove(e.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total, n = total-e.size, n-1
		c.evicted.Add(1)
	}
	held := total
	for _, size := range c.writing {
		held -= size
	}
	c.bytes.Store(held)
	c.entries.Store(int64(n - len(c.writing)))
	if total+bytes > c.opts.MaxBytes || n+files > c.opts.MaxEntries {
		return fmt.Errorf("%w: %d bytes in %d files, %d and %d are allowed", errFull, total+bytes, n+files, c.opts.MaxBytes, c.opts.MaxEntries)
	}
	return nil
}

var errFull = errors.New("genie: weight cache full")

// look lists the finished files and sums up all files, with unfinished ones at
// their final size. It removes the remains of workers that died.
func (c *Cache) look() (entries []entry, total int64, err error) {
	infos, err := c.files.List()
	if err != nil {
		return nil, 0, err
	}
	for _, size := range c.writing {
		total += size
	}
	for _, info := range infos {
		if !info.Mode().IsRegular() {
			continue
		}
		switch name := info.Name(); {
		case isHash(name):
			entries = append(entries, entry{name, info.Size(), info.ModTime()})
			total += info.Size()
		case !isUnfinished(name):
		case c.isWriting(name):
		case c.opts.Now().Sub(info.ModTime()) > abandoned:
			if err := c.files.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, 0, err
			}
		default: // another worker's
			total += info.Size()
		}
	}
	return entries, total, nil
}

func (c *Cache) isWriting(name string) bool {
	_, ok := c.writing[name]
	return ok
}

const hashLen = 2 * len(plan.Hash{})

// isHash reports whether a name is that of a finished file.
func isHash(name string) bool { return len(name) == hashLen && isHex(name) }

// isUnfinished reports whether a name is that of a file being written.
func isUnfinished(name string) bool {
	return len(name) == hashLen+1+unfinishedLen && isHex(name[:hashLen]) && name[hashLen] == '-' && isHex(name[hashLen+1:])
}

func isHex(s string) bool {
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'f') {
			return false
		}
	}
	return true
}

package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

// pollFolder is how often a watch looks at a folder.
const pollFolder = 500 * time.Millisecond

// suffix is that of files with entries. Others are not looked at.
const suffix = ".entry"

// Folder is a directory that is a folder of files, for the processes of one machine
// or of one that shares a file system. Who can write to the folder can send clients
// elsewhere, so it should belong to one user. Watches look at it twice a second.
type Folder struct {
	root *os.Root
	ctx  context.Context //nolint:containedctx // ends when the folder closes
	end  context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	serial uint64
}

// OpenFolder opens a folder, and makes it if it is not there.
func OpenFolder(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDirectory, err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDirectory, err)
	}
	f := &Folder{root: root}
	f.ctx, f.end = context.WithCancel(context.Background())
	return f, nil
}

// Put implements [Directory]. A reader sees the old entry or the new one.
func (f *Folder) Put(ctx context.Context, key string, value []byte, _ time.Duration) error {
	if err := CheckEntry(key, value); err != nil {
		return err
	}
	n, err := f.next(ctx)
	if err != nil {
		return err
	}
	// The number makes a renewed entry differ from the one before.
	data := fmt.Appendf(nil, "%d.%d\n", os.Getpid(), n)
	tmp := fmt.Sprintf("%s.%d.%d.tmp", key, os.Getpid(), n)
	if err := f.root.WriteFile(tmp, append(data, value...), 0o600); err != nil {
		return fmt.Errorf("%w: %w", ErrDirectory, err)
	}
	if err := f.root.Rename(tmp, key+suffix); err != nil {
		_ = f.root.Remove(tmp)
		return fmt.Errorf("%w: %w", ErrDirectory, err)
	}
	return nil
}

func (f *Folder) next(ctx context.Context) (uint64, error) {
	if ctx.Err() != nil {
		return 0, fmt.Errorf("genie: directory: %w", context.Cause(ctx))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, errDirectoryClosed()
	}
	f.serial++
	return f.serial, nil
}

// Delete implements [Directory].
func (f *Folder) Delete(ctx context.Context, key string) error {
	if err := CheckEntry(key, nil); err != nil {
		return err
	}
	if _, err := f.next(ctx); err != nil {
		return err
	}
	if err := f.root.Remove(key + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrDirectory, err)
	}
	return nil
}

// Watch implements [Directory].
func (f *Folder) Watch(ctx context.Context) (Watch, error) {
	if _, err := f.next(ctx); err != nil {
		return nil, err
	}
	watched, cancel := context.WithCancel(f.ctx)
	p := NewPending(cancel)
	w := folderWatch{f: f, p: p, seen: map[string][]byte{}}
	f.wg.Go(func() { w.poll(watched) })
	return p, nil
}

// folderWatch is what a watch has seen of a folder.
type folderWatch struct {
	f    *Folder
	p    *Pending
	seen map[string][]byte // the files
	lost bool
}

func (w *folderWatch) poll(ctx context.Context) {
	tick := time.NewTicker(pollFolder)
	defer tick.Stop()
	for first := true; ; first = false {
		err := w.look()
		switch {
		case err != nil && (first || !w.lost):
			w.lost = true
			w.p.Add(Change{Kind: Lost})
		case err == nil && (first || w.lost):
			w.lost = false
			w.p.Add(Change{Kind: Synced})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.p.Fail(errDirectoryClosed())
			return
		}
	}
}

// look compares the folder with what was seen.
func (w *folderWatch) look() error {
	dir, err := w.f.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	there := map[string]bool{}
	for looked := 0; looked < 4*MaxEntries; {
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			if key, ok := strings.CutSuffix(name, suffix); ok && CheckEntry(key, nil) == nil && len(there) < MaxEntries {
				there[key] = true
			}
		}
		looked += len(names)
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	for key := range w.seen {
		if !there[key] {
			delete(w.seen, key)
			w.p.Add(Change{Kind: Deleted, Key: key})
		}
	}
	for key := range there {
		w.read(key)
	}
	return nil
}

// read shows an entry if it changed. What cannot be read is left out until it can.
func (w *folderWatch) read(key string) {
	info, err := w.f.root.Lstat(key + suffix) // a pipe would block, a link leads elsewhere
	if err != nil || !info.Mode().IsRegular() || info.Size() > MaxEntry+maxKey {
		return
	}
	file, err := w.f.root.Open(key + suffix)
	if err != nil {
		return
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxEntry+maxKey))
	if err != nil || bytes.Equal(data, w.seen[key]) {
		return
	}
	_, value, ok := bytes.Cut(data, []byte("\n"))
	if !ok || CheckEntry(key, value) != nil {
		return
	}
	w.seen[key] = data
	w.p.Add(Change{Kind: Written, Key: key, Value: value})
}

// closes reports whether the folder was closed before.
func (f *Folder) closes() (before bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, f.closed = f.closed, true
	return before
}

// Close implements [Directory].
func (f *Folder) Close() error {
	if f.closes() {
		return nil
	}
	f.end()
	f.wg.Wait()
	return f.root.Close()
}

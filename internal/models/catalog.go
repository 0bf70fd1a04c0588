package models

import (
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Names of a download cache of Hugging Face.
const (
	repoPrefix = "models--"
	snapshots  = "snapshots"
	blobs      = "blobs"
)

const (
	maxRepos  = 4096
	maxPlaces = 1 << 16
)

// catalog is the list of models in the repositories of a download cache. It is
// made again, rate-limited, when a name is requested that is not a directory of
// the folder.
type catalog struct {
	mu    sync.Mutex
	named map[string][]place
	pause pause
}

// find is the places of models of a name.
func (c *catalog) find(f *Folder, name string) []place {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pause.over() {
		c.refresh(f)
	}
	return c.named[name]
}

func (c *catalog) refresh(f *Folder) {
	begun := time.Now()
	c.named = map[string][]place{}
	n := 0
	for _, p := range f.revisions() {
		c.add(filepath.Base(p.dir), p)
		n++
		for _, sub := range f.folders(filepath.Join(p.repo, p.dir)) {
			if n++; n > maxPlaces {
				break
			}
			c.add(sub, place{p.repo, filepath.Join(p.dir, sub)})
		}
	}
	c.pause.rest(time.Since(begun))
}

func (c *catalog) add(name string, p place) { c.named[name] = append(c.named[name], p) }

// revisions are the revisions of the repositories that the folder contains, is,
// or is a part of.
func (f *Folder) revisions() (out []place) {
	switch {
	case filepath.Base(f.prefix) == snapshots: // of a repository, which is the root
		for _, rev := range f.folders(f.prefix) {
			out = append(out, place{"", filepath.Join(f.prefix, rev)})
		}
	case f.prefix != "": // a revision, whose folders are found by name
	case f.isRepo("."):
		for _, rev := range f.folders(snapshots) {
			out = append(out, place{"", filepath.Join(snapshots, rev)})
		}
	default:
		for _, repo := range f.folders(".") {
			if len(out) >= maxRepos {
				break
			}
			if !strings.HasPrefix(repo, repoPrefix) || !f.isRepo(repo) {
				continue
			}
			for _, rev := range f.folders(filepath.Join(repo, snapshots)) {
				out = append(out, place{repo, filepath.Join(snapshots, rev)})
			}
		}
	}
	return out
}

// isRepo reports whether a directory below the root is a cached repository.
func (f *Folder) isRepo(dir string) bool {
	for _, part := range []string{blobs, snapshots} {
		if info, err := f.root.Stat(filepath.Join(dir, part)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// folders are the names of the directories in a directory below the root.
func (f *Folder) folders(dir string) (out []string) {
	for _, e := range f.list(dir) {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out
}

// list reads a directory below the root; one that cannot be read is empty.
func (f *Folder) list(dir string) []fs.DirEntry {
	d, err := f.root.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	entries, err := d.ReadDir(maxPlaces)
	if err != nil && len(entries) == 0 {
		return nil
	}
	return entries
}

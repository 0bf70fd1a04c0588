package models

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/genie-sdk/go/internal/checkpoint"
)

// maxSaid bounds the messages about a folder.
const maxSaid = 32

// survey checks the content of the folder, without reading files, and logs what
// will not be used and why.
func (f *Folder) survey() {
	said := 0
	say := func(what string, why error) {
		if said++; said <= maxSaid {
			f.log.Warn("not used in the model folder", "folder", f.dir, "name", what, "reason", why)
		}
	}
	if f.prefix == "" && !f.isRepo(".") || f.prefix != "" && filepath.Base(f.prefix) != snapshots {
		f.surveyNames(say)
	}
	for _, p := range f.revisions() {
		f.surveyRevision(p, say)
	}
	if more := said - maxSaid; more > 0 {
		f.log.Warn("more is not used in the model folder", "folder", f.dir, "number", more)
	}
}

var (
	errModel    = errors.New("it is a file of a model: the folder of models is the one that holds the model's folder")
	errNoFolder = errors.New("it is no directory")
	errOther    = errors.New("it is a cached repository of something else than a model")
	errHalf     = errors.New("it is no whole cached repository: it has no blobs or no snapshots")
)

// surveyNames checks the directories of the folder.
func (f *Folder) surveyNames(say func(what string, why error)) {
	for _, e := range f.list(f.inside()) {
		name := e.Name()
		path := filepath.Join(f.prefix, name)
		switch info, err := f.root.Stat(path); {
		case strings.HasPrefix(name, "."): // private to tools
		case err != nil:
			say(name, outside(err))
		case !info.IsDir():
			if name == "config.json" || strings.HasSuffix(name, ".safetensors") {
				say(name, errModel)
			} else if e.Type()&fs.ModeSymlink != 0 {
				say(name, errNoFolder)
			}
		case strings.HasPrefix(name, "datasets--"), strings.HasPrefix(name, "spaces--"):
			say(name, errOther)
		case strings.HasPrefix(name, repoPrefix):
			if !f.isRepo(path) {
				say(name, errHalf)
			}
		default:
			if err := checkpoint.CheckIn(f.root, path); err != nil {
				say(name, err)
			}
		}
	}
}

// inside is the folder below its root, as a name that can be opened.
func (f *Folder) inside() string {
	if f.prefix == "" {
		return "."
	}
	return f.prefix
}

// outside explains a link that the root refuses.
func outside(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	return errors.Join(errors.New("a link that leaves the folder or is absolute is not followed"), err)
}

// surveyRevision checks a revision of a cached repository, which is a model or
// has models in its folders.
func (f *Folder) surveyRevision(p place, say func(what string, why error)) {
	root, err := f.rootOf(p)
	if err != nil {
		say(filepath.Join(p.repo, p.dir), err)
		return
	}
	defer func() { _ = f.closeRoot(root) }()
	why := checkpoint.CheckIn(root, p.dir)
	if why == nil {
		return
	}
	models := 0
	for _, sub := range f.folders(filepath.Join(p.repo, p.dir)) {
		if checkpoint.CheckIn(root, filepath.Join(p.dir, sub)) == nil {
			models++
		}
	}
	if models == 0 {
		say(filepath.Join(p.repo, p.dir), why)
	}
}

package systems

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// linkName is the environment in the cache folder: a symbolic link to the
// folder in use beside it; where links cannot be made, a file with its name;
// and a folder if an earlier version without either made it.
const linkName = "venv"

// folderName is the name pattern of environment folders. Nothing else is
// removed.
var folderName = regexp.MustCompile(`^` + linkName + `-[A-Z2-7]{26}$`)

// newFolder makes one.
func newFolder(root string) (string, error) {
	dir := filepath.Join(root, linkName+"-"+rand.Text())
	return dir, os.Mkdir(dir, 0o750)
}

// currentFolder is the folder in use. Programs start there and not through the
// link, so that a running one does not change its libraries when the link
// changes.
func currentFolder(root string) (string, error) {
	link := filepath.Join(root, linkName)
	info, err := os.Lstat(link)
	switch {
	case err != nil:
		return "", err
	case info.IsDir():
		return link, nil
	case info.Mode().IsRegular():
		const limit = 100
		if info.Size() > limit {
			return "", fmt.Errorf("%s was not created by this program", link)
		}
		text, err := os.ReadFile(link)
		if err != nil {
			return "", err
		}
		name := strings.TrimSpace(string(text))
		if !folderName.MatchString(name) {
			return "", fmt.Errorf("%s was not created by this program", link)
		}
		return filepath.Join(root, name), nil
	}
	target, err := os.Readlink(link)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(root, target)
	}
	return target, nil
}

// takePlace puts a complete environment into use.
func takePlace(root, dir string) error {
	link, partial, name := filepath.Join(root, linkName), partialLink(root), filepath.Base(dir)
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if os.Symlink(name, partial) != nil {
		if err := os.WriteFile(partial, []byte(name+"\n"), 0o600); err != nil {
			return err
		}
	}
	err := replaceLink(root, partial, link)
	if err != nil {
		_ = os.Remove(partial)
	}
	return err
}

// replaceLink replaces link by partial, in one step if the system can: it
// cannot rename onto a folder, nor, on Windows, onto a link to one.
func replaceLink(root, partial, link string) error {
	info, err := os.Lstat(link)
	if err != nil || !info.IsDir() {
		if err := os.Rename(partial, link); err == nil || info == nil {
			return err
		}
	}
	before := filepath.Join(root, linkName+"-"+rand.Text())
	if exchange(partial, link) == nil {
		return os.Rename(partial, before) // sweep removes it
	}
	if err := os.Rename(link, before); err != nil {
		return err
	}
	if err := os.Rename(partial, link); err != nil {
		return errors.Join(err, os.Rename(before, link))
	}
	return nil
}

func partialLink(root string) string { return filepath.Join(root, linkName+".partial") }

// recoverLink restores what a process that was killed between the two steps of
// replaceLink removed: of the complete environments, the one to be used.
func recoverLink(root string) error {
	if _, err := os.Lstat(filepath.Join(root, linkName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	partial := partialLink(root)
	if _, err := os.Lstat(partial); err != nil {
		return nil //nolint:nilerr // there was none
	}
	return os.Rename(partial, filepath.Join(root, linkName))
}

// leftovers are the folders of environments that are not in use, and links that
// were never put in place.
func leftovers(root string) []string {
	current, _ := currentFolder(root)
	entries, _ := os.ReadDir(root)
	var paths []string
	for _, entry := range entries {
		path := filepath.Join(root, entry.Name())
		if folderName.MatchString(entry.Name()) && path != current || path == partialLink(root) {
			paths = append(paths, path)
		}
	}
	return paths
}

// sweep removes leftovers, except for environments in which programs run: those
// are left to a later setup. It must hold the lock, so that no other setup is
// making one of them.
func sweep(root string) {
	for _, path := range leftovers(root) {
		if path == partialLink(root) { // and not the folder that it links to
			_ = os.Remove(path)
			continue
		}
		discard(path)
	}
}

// discard ends the processes that a killed setup may have left filling a
// folder, and removes the folder.
func discard(path string) {
	release, err := lockFile(filepath.Join(path, inUseName), false)
	if errors.Is(err, errLocked) {
		return
	}
	if err == nil {
		defer release()
	}
	killMarked(envMark + "=" + filepath.Base(path))
	_ = os.RemoveAll(path) // the next setup retries what cannot be removed
}

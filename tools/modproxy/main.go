// Command modproxy writes a module as a module proxy would serve it, to a folder
// that GOPROXY=file://FOLDER reads: what `go install …@version` and other modules
// would get if the working tree were released as it is.
//
//	go run ./modproxy -dir .. -version v0.2.0 -out FOLDER
//
// The zip has the files that git tracks or would track, and is made by the same
// code as the go command's: files of nested modules are left out, and names,
// sizes and the module's path are checked. A go.mod with a replace directive is
// refused, since `go install` refuses it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	dir := flag.String("dir", ".", "folder of the module")
	version := flag.String("version", "", "version to give it: vMAJOR.MINOR.PATCH")
	out := flag.String("out", "", "folder of the proxy")
	flag.Parse()
	if *version == "" || *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := serve(*dir, *version, *out); err != nil {
		fmt.Fprintln(os.Stderr, "modproxy:", err)
		os.Exit(1)
	}
}

func serve(dir, version, out string) (err error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	mod, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return err
	}
	if len(mod.Replace) > 0 || len(mod.Exclude) > 0 {
		return errors.New("go.mod has replace or exclude directives: go install refuses them")
	}
	m := module.Version{Path: mod.Module.Mod.Path, Version: version}
	files, err := tracked(dir)
	if err != nil {
		return err
	}

	at := filepath.Join(out, filepath.FromSlash(m.Path), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(at, version+".zip"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := zip.Create(f, m, files); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %.1f MB of at most %.0f\n", m, float64(size)/1e6, float64(zip.MaxZipFile)/1e6)
	info := fmt.Sprintf(`{"Version":%q,"Time":%q}`, version, time.Now().UTC().Format(time.RFC3339))
	return errors.Join(
		os.WriteFile(filepath.Join(at, version+".mod"), text, 0o644),
		os.WriteFile(filepath.Join(at, version+".info"), []byte(info), 0o644),
		os.WriteFile(filepath.Join(at, "list"), []byte(version+"\n"), 0o644),
	)
}

// tracked lists the files that git tracks or would track. The zip's own rules
// leave out nested modules.
func tracked(dir string) ([]zip.File, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var files []zip.File
	for path := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		switch info, err := os.Lstat(filepath.Join(dir, path)); {
		case errors.Is(err, os.ErrNotExist): // deleted, and not yet committed
		case err != nil:
			return nil, err
		case info.Mode().IsRegular():
			files = append(files, file{dir, path})
		}
	}
	return files, nil
}

// file is a file of the module.
type file struct{ dir, path string }

func (f file) Path() string                 { return filepath.ToSlash(f.path) }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(filepath.Join(f.dir, f.path)) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(filepath.Join(f.dir, f.path)) }

package atomicfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
)

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

// TestLinksAreFollowed verifies that a link stays a link, and that its target
// is written: through links of links, from another folder, and to a file that
// does not exist yet.
func TestLinksAreFollowed(t *testing.T) {
	cases := []struct {
		name  string
		links map[string]string // name below the folder -> where it leads; absolute ones begin with /
		path  string            // what is written to
		want  string            // the file that exists afterwards
		old   bool              // it was there before
	}{
		{"to a file beside it", map[string]string{"l": "target"}, "l", "target", true},
		{"dangling", map[string]string{"l": "target"}, "l", "target", false},
		{"absolute", map[string]string{"l": "/target"}, "l", "target", true},
		{"absolute and dangling", map[string]string{"l": "/sub/target"}, "l", "sub/target", false},
		{"of a link", map[string]string{"l": "sub/m", "sub/m": "../target"}, "l", "target", true},
		{"in a linked folder", map[string]string{"d": "sub/deep", "sub/deep/l": "../target"}, "d/l", "sub/target", true},
		{"in a linked folder, dangling", map[string]string{"d": "sub/deep", "sub/deep/l": "../target"}, "d/l", "sub/target", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub", "deep"), 0o700))
			for name, to := range c.links {
				if strings.HasPrefix(to, "/") {
					to = filepath.Join(dir, to)
				}
				require.NoError(t, os.Symlink(to, filepath.Join(dir, name)))
			}
			want := filepath.Join(dir, c.want)
			if c.old {
				require.NoError(t, os.WriteFile(want, []byte("old, and longer"), 0o600))
			}
			require.NoError(t, atomicfile.WriteFile(filepath.Join(dir, c.path), []byte("new")))
			info, err := os.Lstat(want)
			require.NoError(t, err)
			require.True(t, info.Mode().IsRegular())
			require.Equal(t, "new", content(t, want))
			for name := range c.links {
				info, err := os.Lstat(filepath.Join(dir, name))
				require.NoError(t, err)
				require.NotZero(t, info.Mode()&os.ModeSymlink, "%s is a link no more", name)
			}
			left, err := filepath.Glob(filepath.Join(filepath.Dir(want), "*.tmp-*"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// TestRefusedTargets are named, and stay what they are.
func TestRefusedTargets(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "folder"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("old"), 0o600))
	for name, to := range map[string]string{"to-folder": "folder", "a": "b", "b": "a", "nowhere": "absent/x"} {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, name)))
	}
	for name, is := range map[string]error{
		"":          atomicfile.ErrTarget,
		"folder":    atomicfile.ErrTarget,
		"to-folder": atomicfile.ErrTarget,
		"new/":      os.ErrNotExist,
		"nowhere":   os.ErrNotExist,
		"a":         nil, // a circle
		"file/x":    nil,
	} {
		path := name
		if name != "" {
			path = dir + "/" + name
		}
		err := atomicfile.WriteFile(path, []byte("new"))
		require.Error(t, err, name)
		require.Error(t, atomicfile.Check(path), name)
		if is != nil {
			require.ErrorIs(t, err, is, name)
		}
	}
	require.Equal(t, []string{"a", "b", "file", "folder", "nowhere", "to-folder"}, names(t, dir))
	require.Equal(t, "old", content(t, filepath.Join(dir, "file")))
}

// TestPermissionsAreKept: a replaced file keeps its permissions, and a file
// that must not be written is not replaced, though its folder would allow it.
func TestPermissionsAreKept(t *testing.T) {
	dir := t.TempDir()
	for _, mode := range []os.FileMode{0o600, 0o640, 0o666, 0o755} {
		path := filepath.Join(dir, mode.String())
		require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		require.NoError(t, atomicfile.WriteFile(path, []byte("new")))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode())
		require.Equal(t, "new", content(t, path))
	}
	fixed := filepath.Join(dir, "fixed")
	require.NoError(t, os.WriteFile(fixed, []byte("old"), 0o400))
	if f, err := os.OpenFile(fixed, os.O_WRONLY, 0); err == nil {
		require.NoError(t, f.Close()) // the superuser may write any file
		return
	}
	require.ErrorIs(t, atomicfile.WriteFile(fixed, []byte("new")), os.ErrPermission)
	require.Equal(t, "old", content(t, fixed))
}

// TestLongName: the name of the temporary file is not too long where the file's
// own is not.
func TestLongName(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 255))
	require.NoError(t, atomicfile.WriteFile(path, []byte("new")))
	require.Equal(t, "new", content(t, path))
}

// TestWriteIn writes only regular files of its folder.
func TestWriteIn(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), []byte("old"), 0o600))
	require.NoError(t, os.Symlink("other", filepath.Join(dir, "link")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	for _, text := range []string{"first", "second"} {
		require.NoError(t, atomicfile.WriteIn(root, "file", []byte(text)))
		require.Equal(t, text, content(t, filepath.Join(dir, "file")))
	}
	for _, name := range []string{"link", "folder"} {
		require.ErrorIs(t, atomicfile.WriteIn(root, name, []byte("new")), atomicfile.ErrTarget)
	}
	require.Equal(t, "old", content(t, filepath.Join(dir, "other")))
	require.Equal(t, []string{"file", "folder", "link", "other"}, names(t, dir))
}

package weightcache_test

import (
	"io"
	"io/fs"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/weightcache"
)

// faulty is a real folder whose operations fail on request of a test.
type faulty struct {
	weightcache.Files
	create, rename, remove, list, touch, sync error
	file                                      faultyFile
}

// faultyFile is how files of it fail.
type faultyFile struct {
	writable              int  // bytes that fit; negative for any number
	short                 bool // what does not fit is left out without an error
	sync, close, readFrom error
}

func (d *faulty) Create(name string) (weightcache.File, error) {
	if d.create != nil {
		return nil, d.create
	}
	f, err := d.Files.Create(name)
	if err != nil {
		return nil, err
	}
	return &openFaulty{f, d.file}, nil
}

func (d *faulty) Open(name string) (weightcache.File, error) {
	f, err := d.Files.Open(name)
	if err != nil {
		return nil, err
	}
	return &openFaulty{f, d.file}, nil
}

func first(fault error, do func() error) error {
	if fault != nil {
		return fault
	}
	return do()
}

func (d *faulty) Rename(from, to string) error {
	return first(d.rename, func() error { return d.Files.Rename(from, to) })
}

func (d *faulty) Remove(name string) error {
	return first(d.remove, func() error { return d.Files.Remove(name) })
}

func (d *faulty) Touch(name string, at time.Time) error {
	return first(d.touch, func() error { return d.Files.Touch(name, at) })
}
func (d *faulty) Sync() error { return first(d.sync, d.Files.Sync) }

func (d *faulty) List() ([]fs.FileInfo, error) {
	if d.list != nil {
		return nil, d.list
	}
	return d.Files.List()
}

type openFaulty struct {
	weightcache.File
	how faultyFile
}

func (f *openFaulty) Write(b []byte) (int, error) {
	if f.how.writable < 0 || len(b) <= f.how.writable {
		f.how.writable -= min(len(b), max(f.how.writable, 0))
		return f.File.Write(b)
	}
	n, err := f.File.Write(b[:f.how.writable])
	f.how.writable = 0
	if err == nil && !f.how.short {
		err = syscall.ENOSPC
	}
	return n, err
}

func (f *openFaulty) Read(b []byte) (int, error) {
	if f.how.readFrom != nil {
		return 0, f.how.readFrom
	}
	return f.File.Read(b)
}
func (f *openFaulty) Sync() error { return first(f.how.sync, f.File.Sync) }

func (f *openFaulty) Close() error {
	err := f.File.Close()
	return first(f.how.close, func() error { return err })
}

// TestFaults lets each operation of the file system fail while content is
// written. Whatever happens, nothing is found that is not whole, nothing is
// left over as far as it can be removed, and when the disk is well again so is
// the cache.
func TestFaults(t *testing.T) {
	well := faultyFile{writable: -1}
	full := faultyFile{writable: 2500}
	for _, tt := range []struct {
		name string
		is   faulty
		says error // of the put; nil for none
		left int
	}{
		{"disk full", faulty{file: full}, syscall.ENOSPC, 0},
		{"disk full at the first byte", faulty{file: faultyFile{}}, syscall.ENOSPC, 0},
		{"short write", faulty{file: faultyFile{writable: 2500, short: true}}, io.ErrShortWrite, 0},
		{"sync", faulty{file: faultyFile{writable: -1, sync: syscall.EIO}}, syscall.EIO, 0},
		{"close", faulty{file: faultyFile{writable: -1, close: syscall.EDQUOT}}, syscall.EDQUOT, 0},
		{"create", faulty{file: well, create: syscall.EROFS}, syscall.EROFS, 0},
		{"rename", faulty{file: well, rename: syscall.EACCES}, syscall.EACCES, 0},
		{"list", faulty{file: well, list: syscall.EIO}, syscall.EIO, 0},
		{"sync of the folder", faulty{file: well, sync: syscall.EIO}, syscall.EIO, 1},
		{"disk full, remains stay", faulty{file: full, remove: syscall.EROFS}, syscall.ENOSPC, 1},
		{"touch", faulty{file: well, touch: syscall.EPERM}, nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			disk := &faulty{Files: weightcache.Folder(t, dir), file: well}
			c := open(t, dir, weightcache.Options{Files: disk})
			old, ho := content(9, 3000)
			require.NoError(t, put(c, old, ho))
			b, h := content(1, 5000)
			tt.is.Files = disk.Files
			*disk = tt.is
			err := put(c, b, h)
			require.ErrorIs(t, err, tt.says)
			require.Len(t, names(t, dir), 1+tt.left)

			disk.file = well
			if got, ok, err := get(c, h, len(b)); ok {
				require.NoError(t, err)
				require.Equal(t, b, got)
			}
			*disk = faulty{Files: disk.Files, file: well}
			if _, ok, _ := get(c, h, len(b)); !ok {
				require.NoError(t, put(c, b, h))
			}
			for _, x := range []struct {
				b []byte
				h [32]byte
			}{{old, ho}, {b, h}} {
				got, ok, err := get(c, x.h, len(x.b))
				require.NoError(t, err)
				require.True(t, ok)
				require.Equal(t, x.b, got)
			}
		})
	}
}

// TestUnreadable leaves a file that cannot be read now where it is.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	disk := &faulty{Files: weightcache.Folder(t, dir), file: faultyFile{writable: -1}}
	c := open(t, dir, weightcache.Options{Files: disk})
	b, h := content(1, 5000)
	require.NoError(t, put(c, b, h))
	disk.file.readFrom = syscall.EIO
	_, ok, err := get(c, h, len(b))
	require.ErrorIs(t, err, syscall.EIO)
	require.False(t, ok)
	disk.file.readFrom = nil
	_, ok, err = get(c, h, len(b))
	require.NoError(t, err)
	require.True(t, ok)
}

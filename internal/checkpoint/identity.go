package checkpoint

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"time"

	"github.com/zeebo/blake3"

	"github.com/genie-sdk/go/internal/safetensors"
)

// identity says which content stored hashes belong to: the file as the system
// knows it, and a sample of what is in it.
//
// Size, names, shapes and the time of writing are the same in the next version
// of a model that an archive with fixed times unpacks. The time of change and
// the inode are the system's own, and differ then; but an image of a file
// system has these fixed too, and so has a copy of a disk. What is left is the
// content: the sample has bytes of every tensor, which training changes.
type identity struct {
	Bytes        int64  `json:"bytes"`
	ModTimeNs    int64  `json:"mtime_ns"`
	ChangeTimeNs int64  `json:"ctime_ns"`
	Device       uint64 `json:"device"`
	Inode        uint64 `json:"inode"`
	HeaderHash   string `json:"header_blake3"`
	SampleHash   string `json:"sample_blake3"`
}

const (
	// sampleBytes is how much of the middle of a tensor is in the sample.
	sampleBytes = 4 << 10
	// maxSamples bounds the tensors of a file that are in it.
	maxSamples = 4096
	// youngest is the age from which a file has another time of change when it
	// is written again: systems keep times to 2 s (FAT), 1 s or a tick.
	youngest = 2 * time.Second
)

// identify describes weights file i. It reads a little of each tensor.
func (m *Model) identify(f *safetensors.File) (identity, error) {
	head := blake3.Sum256(f.Header())
	id := fileIdentity(f.Info())
	id.HeaderHash = hex.EncodeToString(head[:])
	sample, err := m.sample(f)
	id.SampleHash = hex.EncodeToString(sample[:])
	return id, err
}

// fileIdentity is an identity without content.
func fileIdentity(info os.FileInfo) identity {
	id := identity{Bytes: info.Size(), ModTimeNs: info.ModTime().UnixNano()}
	id.Device, id.Inode, id.ChangeTimeNs = fileNumbers(info)
	return id
}

// sample hashes bytes of many tensors of a file.
func (m *Model) sample(f *safetensors.File) (Digest, error) {
	names := f.Names()
	h := blake3.New()
	step := max(1, (len(names)+maxSamples-1)/maxSamples)
	for i := 0; i < len(names); i += step {
		t, ok := f.Tensor(names[i])
		if !ok {
			return Digest{}, &Error{File: f.Path(), Err: ErrClosed}
		}
		from := max(0, len(t.Data)-sampleBytes) / 2
		to := min(from+sampleBytes, len(t.Data))
		_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(i)))
		if err := t.ReadPart(from, to, func(b []byte) { _, _ = h.Write(b) }); err != nil {
			return Digest{}, &Error{File: f.Path(), Reason: "changed while it was read", Err: ErrCorrupt, Cause: err}
		}
	}
	return sum(h), nil
}

// settled reports whether a file that is written from now on has another time
// of change than id: then what is known of its content now can be kept.
func (id identity) settled(now time.Time) bool {
	changed := id.ChangeTimeNs
	if changed == 0 { // the system has none
		changed = id.ModTimeNs
	}
	return now.Sub(time.Unix(0, changed)) > youngest
}

// stamp is a file of the model directory and which one that was.
type stamp struct {
	name string
	id   identity
}

// Replaced reports whether the weights files in the model's folder are others
// than those that are open, or have been written since. A folder that cannot be
// looked at has changed.
func (m *Model) Replaced() bool {
	for _, s := range m.stamps {
		info, err := m.stat(s.name)
		if err != nil || fileIdentity(info) != s.id {
			return true
		}
	}
	return false
}

// stat looks at a file of the model's folder by its name, as it is now.
func (m *Model) stat(name string) (os.FileInfo, error) {
	if m.inside != nil {
		return m.inside.files.Stat(filepath.Join(m.inside.prefix, name)) //nolint:wrapcheck // only looked at
	}
	return os.Stat(filepath.Join(m.dir, name)) //nolint:wrapcheck // as above
}

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

// identity says which content stored hashes belong to: the system's data about
// the file, and a sample of its content.
//
// Size, names, shapes and the time of writing can be the same in the next
// version of a model, if an archive with fixed times is unpacked. The time of
// change and the inode are assigned by the system, and differ then; but an
// image of a file system, or a copy of a disk, has the same values. What is
// left is the content: the sample has bytes of every tensor, which training
// changes.
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
	// sampleBytes is the size of the sample from the middle of each tensor.
	sampleBytes = 4 << 10
	// maxSamples bounds the sampled tensors of a file.
	maxSamples = 4096
	// youngest is the age from which another write gives a file another time of
	// change: systems store times to 2 s (FAT), 1 s or a tick.
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

// fileIdentity is an identity without the content.
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

// settled reports whether a file that is written from now on gets another time
// of change than id: then what is known of its content now can be stored.
func (id identity) settled(now time.Time) bool {
	changed := id.ChangeTimeNs
	if changed == 0 { // the system has none
		changed = id.ModTimeNs
	}
	return now.Sub(time.Unix(0, changed)) > youngest
}

// stamp is a file of the model directory and its identity.
type stamp struct {
	name string
	id   identity
}

// Replaced reports whether the weights files in the model's folder are not the
// open ones, or have been written since. A folder that cannot be read counts as
// changed.
func (m *Model) Replaced() bool {
	for _, s := range m.stamps {
		info, err := m.stat(s.name)
		if err != nil || fileIdentity(info) != s.id {
			return true
		}
	}
	return false
}

// stat describes a file of the model's folder by its name, as it is now.
func (m *Model) stat(name string) (os.FileInfo, error) {
	if m.inside != nil {
		return m.inside.files.Stat(filepath.Join(m.inside.prefix, name)) //nolint:wrapcheck // only looked at
	}
	return os.Stat(filepath.Join(m.dir, name)) //nolint:wrapcheck // as above
}

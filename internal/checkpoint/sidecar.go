package checkpoint

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/zeebo/blake3"

	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
)

const (
	hashesFile      = "genie-hashes.json"
	hashesVersion   = 1
	hashesAlgorithm = "blake3-256"
	maxHashesBytes  = 200 << 20
)

// sidecar is the content of genie-hashes.json.
type sidecar struct {
	Version   int                    `json:"version"`
	Algorithm string                 `json:"algorithm"`
	Files     map[string]sidecarFile `json:"files"` // by file name
}

// sidecarFile identifies one weights file and holds its tensors' hashes.
type sidecarFile struct {
	fileState
	Tensors map[string]string `json:"tensors"` // name -> hex
}

// fileState says which content the hashes belong to. A time of change alone
// would miss a file that was swapped for one of the same age; the header is
// hashed because it is small and names every tensor, shape and offset.
type fileState struct {
	Bytes      int64  `json:"bytes"`
	ModTimeNs  int64  `json:"mtime_ns"`
	HeaderHash string `json:"header_blake3"`
}

func (m *Model) describeFiles() []fileState {
	states := make([]fileState, len(m.files))
	for i, f := range m.files {
		head := blake3.Sum256(f.Header())
		states[i] = fileState{Bytes: f.Info().Size(), ModTimeNs: f.Info().ModTime().UnixNano(), HeaderHash: hex.EncodeToString(head[:])}
	}
	return states
}

// sidecarPaths lists where hashes may be stored, the first choice first.
func (m *Model) sidecarPaths() []string {
	paths := []string{filepath.Join(m.dir, hashesFile)}
	cache := m.opts.CacheDir
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			m.log.Debug("no cache folder for tensor hashes", "error", err)
			return paths
		}
		cache = filepath.Join(user, "genie", "hashes")
	}
	name := blake3.Sum256([]byte(m.dir))
	return append(paths, filepath.Join(cache, hex.EncodeToString(name[:16])+".json"))
}

// loadHashes returns the hashes that are stored and current, and the names of
// the tensors that still need one. What is stored badly counts as not stored.
func (m *Model) loadHashes(states []fileState) (map[string]Digest, []string) {
	hashes := make(map[string]Digest, len(m.names))
	for i, path := range m.sidecarPaths() {
		stored, err := m.readStored(i, path)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				m.log.Warn("stored tensor hashes are not usable", "file", path, "error", err)
			}
			continue
		}
		for _, name := range m.names {
			i := m.where[name]
			file := stored.Files[filepath.Base(m.files[i].Path())]
			if file.fileState != states[i] {
				continue
			}
			if digest, ok := parseDigest(file.Tensors[name]); ok {
				hashes[name] = digest
			}
		}
	}
	var missing []string
	for _, name := range m.names {
		if _, ok := hashes[name]; !ok {
			missing = append(missing, name)
		}
	}
	return hashes, missing
}

// storeHashes writes the hashes to the first place that takes them.
func (m *Model) storeHashes(states []fileState, hashes map[string]Digest) {
	out := sidecar{Version: hashesVersion, Algorithm: hashesAlgorithm, Files: make(map[string]sidecarFile, len(m.files))}
	for i, f := range m.files {
		out.Files[filepath.Base(f.Path())] = sidecarFile{fileState: states[i], Tensors: make(map[string]string)}
	}
	for _, name := range m.names {
		digest := hashes[name]
		out.Files[filepath.Base(m.files[m.where[name]].Path())].Tensors[name] = hex.EncodeToString(digest[:])
	}
	data, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		m.log.Warn("tensor hashes are not stored", "error", err)
		return
	}
	for i, path := range m.sidecarPaths() {
		if i > 0 {
			if err = os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				continue
			}
		}
		if i == 0 && m.inside != nil {
			err = atomicfile.WriteIn(m.inside.files, filepath.Join(m.inside.prefix, hashesFile), append(data, '\n'))
		} else {
			err = atomicfile.WriteFile(path, append(data, '\n'))
		}
		if err == nil {
			return
		}
	}
	m.log.Warn("tensor hashes are not stored and will be computed again", "dir", m.dir, "error", err)
}

// readStored reads the hashes at the path of choice i; the first is beside the
// checkpoint.
func (m *Model) readStored(i int, path string) (*sidecar, error) {
	if i > 0 || m.inside == nil {
		return readSidecar(path)
	}
	data, err := m.inside.read(hashesFile, maxHashesBytes)
	if errors.Is(err, ErrMissingFile) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	return parseSidecar(data)
}

func readSidecar(path string) (*sidecar, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // *fs.PathError names the path
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // *fs.PathError names the path
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxHashesBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > maxHashesBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxHashesBytes)
	}
	return parseSidecar(data)
}

func parseSidecar(data []byte) (*sidecar, error) {
	var s sidecar
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("parse stored hashes: %w", err)
	}
	if s.Version != hashesVersion || s.Algorithm != hashesAlgorithm {
		return nil, fmt.Errorf("stored hashes have version %d and algorithm %q", s.Version, s.Algorithm)
	}
	return &s, nil
}

func parseDigest(text string) (Digest, bool) {
	var d Digest
	if len(text) != hex.EncodedLen(len(d)) {
		return d, false
	}
	_, err := hex.Decode(d[:], []byte(text))
	return d, err == nil
}

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
)

const (
	hashesFile      = "genie-hashes.json"
	hashesVersion   = 2
	hashesAlgorithm = "blake3-256"
	maxHashesBytes  = 64 << 20
)

// Locations of stored hashes other than a named folder.
const (
	// HashesInCache is genie/hashes below os.UserCacheDir, for [Options].Hashes.
	HashesInCache = "cache"
	// HashesBeside is genie-hashes.json beside the model.
	HashesBeside = "model"
	// HashesNowhere neither stores hashes nor uses stored ones.
	HashesNowhere = "off"
)

// sidecar is the stored form: hashes of one weights file in a cache folder, of
// all files beside a model.
type sidecar struct {
	Version   int                    `json:"version"`
	Algorithm string                 `json:"algorithm"`
	Files     map[string]sidecarFile `json:"files"` // by file name
	Check     string                 `json:"check"` // BLAKE3 of the rest
}

// sidecarFile identifies one weights file and holds its tensors' hashes.
type sidecarFile struct {
	identity
	Tensors map[string]string `json:"tensors"` // name -> hex
}

// shelf is a location of stored hashes.
type shelf interface {
	// read returns what is stored for a weights file, [fs.ErrNotExist] for
	// nothing.
	read(name string, id identity) (sidecarFile, error)
	// write replaces what is stored for the model.
	write(files map[string]sidecarFile) error
	// drop removes it.
	drop(files map[string]identity) error
}

// shelf is where this model's hashes are stored; nil for nowhere.
func (m *Model) shelf() shelf {
	switch dir := m.opts.Hashes; dir {
	case HashesNowhere:
		return nil
	case HashesBeside:
		return beside{m}
	case "", HashesInCache:
		user, err := os.UserCacheDir()
		if err != nil {
			m.log.Debug("no cache folder for tensor hashes", "error", err)
			return nil
		}
		return cacheFolder{filepath.Join(user, "genie", "hashes")}
	default:
		return cacheFolder{dir}
	}
}

// loadHashes returns the stored hashes that are current, and the names of the
// tensors without one. A badly stored hash counts as not stored.
func (m *Model) loadHashes(on shelf, ids []identity) (map[string]Digest, []string) {
	hashes := make(map[string]Digest, len(m.names))
	stored := make([]sidecarFile, len(m.files))
	for i, f := range m.files {
		if on == nil || m.distrusted {
			break
		}
		file, err := on.read(filepath.Base(f.Path()), ids[i])
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			m.log.Warn("stored tensor hashes are not usable", "file", f.Path(), "error", err)
		}
		if err == nil && file.identity == ids[i] {
			stored[i] = file
		}
	}
	var missing []string
	for _, name := range m.names {
		if digest, ok := parseDigest(stored[m.where[name]].Tensors[name]); ok {
			hashes[name] = digest
		} else {
			missing = append(missing, name)
		}
	}
	return hashes, missing
}

// storeHashes stores hashes that were computed.
func (m *Model) storeHashes(on shelf, ids []identity, hashes map[string]Digest) {
	files := make(map[string]sidecarFile, len(m.files))
	for i, f := range m.files {
		files[filepath.Base(f.Path())] = sidecarFile{identity: ids[i], Tensors: make(map[string]string)}
	}
	for _, name := range m.names {
		digest := hashes[name]
		files[filepath.Base(m.files[m.where[name]].Path())].Tensors[name] = hex.EncodeToString(digest[:])
	}
	if err := on.write(files); err != nil {
		m.log.Warn("tensor hashes are not stored and will be computed again", "dir", m.dir, "error", err)
	}
}

// beside stores hashes beside the model.
type beside struct{ m *Model }

// folder is the model's own folder; no path leaves it.
func (b beside) folder() (r *root, done func(), err error) {
	if b.m.inside != nil {
		return b.m.inside, func() {}, nil
	}
	files, err := os.OpenRoot(b.m.dir)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // *fs.PathError names the path
	}
	return &root{dir: b.m.dir, files: files}, func() { _ = files.Close() }, nil
}

func (b beside) read(name string, _ identity) (sidecarFile, error) {
	r, done, err := b.folder()
	if err != nil {
		return sidecarFile{}, err
	}
	defer done()
	data, err := r.read(hashesFile, maxHashesBytes)
	if errors.Is(err, ErrMissingFile) {
		return sidecarFile{}, fs.ErrNotExist
	}
	if err != nil {
		return sidecarFile{}, err
	}
	s, err := parseSidecar(data)
	if err != nil {
		return sidecarFile{}, err
	}
	return s.Files[name], nil
}

func (b beside) write(files map[string]sidecarFile) error {
	data, err := encodeSidecar(files)
	if err != nil {
		return err
	}
	r, done, err := b.folder()
	if err != nil {
		return err
	}
	defer done()
	return r.write(hashesFile, data)
}

func (b beside) drop(map[string]identity) error {
	r, done, err := b.folder()
	if err != nil {
		return err
	}
	defer done()
	return r.files.Remove(filepath.Join(r.prefix, hashesFile)) //nolint:wrapcheck // *fs.PathError names the path
}

// encodeSidecar is the text of stored hashes.
func encodeSidecar(files map[string]sidecarFile) ([]byte, error) {
	s := sidecar{Version: hashesVersion, Algorithm: hashesAlgorithm, Files: files}
	check, err := s.check()
	if err != nil {
		return nil, err
	}
	s.Check = check
	data, err := json.MarshalIndent(s, "", " ")
	if err == nil && len(data) > maxHashesBytes {
		err = fmt.Errorf("they take %d bytes, over the limit of %d", len(data), maxHashesBytes)
	}
	return append(data, '\n'), err
}

// check is the hash of all other fields: it detects a file that a disk or a
// user has changed.
func (s sidecar) check() (string, error) {
	s.Check = ""
	text, err := json.Marshal(s) // keys sorted
	if err != nil {
		return "", fmt.Errorf("stored hashes: %w", err)
	}
	d := blake3.Sum256(text)
	return hex.EncodeToString(d[:]), nil
}

// readSidecar reads stored hashes, which are a regular file.
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
	check, err := s.check()
	if err != nil {
		return nil, err
	}
	if s.Check != check {
		return nil, errors.New("stored hashes were changed: they do not have the check that they say")
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

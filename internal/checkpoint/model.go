package checkpoint

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/pyjson"
	"github.com/genie-sdk/go/internal/safetensors"
)

const (
	configFile = "config.json"
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"

	maxConfigBytes = 16 << 20
	maxIndexBytes  = 100 << 20
	maxShards      = 10_000
)

// Options change how a checkpoint is opened. The zero value is usable.
type Options struct {
	// Progress, if set, receives the number of hashed bytes. Calls come from
	// the hashing goroutines, one at a time, with rising done.
	Progress func(done, total int64)
	// Workers is the number of goroutines that hash; 2 when it is 0.
	Workers int
	// Hashes says where the hashes are stored: a folder, which is created if
	// needed, [HashesInCache], the default, [HashesBeside] or [HashesNowhere].
	Hashes string
	// Now is the clock; nil for the system's.
	Now func() time.Time
	// Logger reports stored hashes that cannot be read or written, which costs
	// only time, and warnings about a model. Nil discards.
	Logger *slog.Logger
}

// Model is an open checkpoint. All methods are safe for concurrent use, but its
// views must not be used after Close.
type Model struct {
	dir       string
	inside    *root // if the caller opened the folder; nil otherwise
	config    []byte
	files     []*safetensors.File
	names     []string          // shard by shard, by offset
	where     map[string]int    // tensor -> index in files
	placed    map[string]string // tensor -> file, from the index; nil without one
	indexFile string            // the index file; "" without one
	opts      Options
	log       *slog.Logger
	stamps    []stamp // of the files that were read

	mu     sync.Mutex // guards the following
	closed bool

	hashing sync.Mutex // one computation at a time
	hashes  map[string]Digest
	// distrusted says that stored hashes were found wrong, and are no longer
	// used.
	distrusted bool
}

// Open opens the model in dir. It reads config.json and checks the header of
// every weights file, but reads no weights.
//
// It uses model.safetensors if that exists, else the shards that
// model.safetensors.index.json names, unless config.json names another file as
// transformers_weights. A shard must be a file of dir or of a folder in it: an
// absolute name is refused with [ErrCorrupt], a link that leads out of dir with
// [ErrOutside] (the links of Hugging Face's download cache lead to the same
// cached repository and are followed). A missing file gives [ErrMissingFile]
// and its name; a broken file gives [ErrCorrupt]. The index may name a tensor
// that no shard has, for example a tied head; this is an error only when the
// tensor is needed.
func Open(dir string, opts Options) (*Model, error) {
	r, err := openRoot(dir)
	if err != nil {
		return nil, err
	}
	defer r.close()
	return open(r, opts)
}

// OpenIn is [Open] of the directory name inside folder. Every access to a file
// goes through folder: whatever happens to links, nothing outside folder is
// opened, read or written. A link from one place in folder to another is
// followed. folder must stay open as long as the model.
func OpenIn(folder *os.Root, name string, opts Options) (*Model, error) {
	return open(&root{dir: filepath.Join(folder.Name(), name), files: folder, prefix: name, theirs: true}, opts)
}

func open(r *root, opts Options) (*Model, error) {
	m := &Model{dir: r.dir, where: make(map[string]int), opts: opts, log: opts.Logger}
	if r.theirs {
		m.inside = r
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.opts.Now == nil {
		m.opts.Now = time.Now
	}
	var err error
	if m.config, err = r.read(configFile, maxConfigBytes); err != nil {
		return nil, err
	}
	if m.config, err = pyjson.Clean(m.config); err != nil {
		return nil, &Error{File: r.path(configFile), Err: ErrCorrupt, Cause: err}
	}
	if err := m.openWeights(r); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Model) openWeights(r *root) error {
	single, index, err := m.weightsFiles(r)
	if err != nil {
		return err
	}
	if single != "" {
		err := m.openFile(r, single)
		if err == nil {
			for _, name := range m.files[0].Names() {
				m.where[name] = 0
			}
			m.names = m.files[0].Names()
			return nil
		}
		if index == "" || !errors.Is(err, ErrMissingFile) {
			return err
		}
	}
	text, indexErr := r.read(index, maxIndexBytes)
	if indexErr != nil {
		if single != "" && errors.Is(indexErr, ErrMissingFile) {
			return &Error{File: r.path(single), Reason: "there is no " + index + " either", Err: ErrMissingFile}
		}
		return indexErr
	}
	m.indexFile = index
	return m.openShards(r, text)
}

// weightsFiles are the file with the weights and the index to use if it is
// missing: the usual names, or what transformers_weights of config.json names
// instead, which is one of the two.
func (m *Model) weightsFiles(r *root) (single, index string, err error) {
	config, err := pyjson.Parse(m.config)
	if err != nil || !config.Given("transformers_weights") {
		return singleFile, indexFile, nil //nolint:nilerr // what is no object names no file
	}
	name, reader := "", config.Reader()
	if reader.String("transformers_weights", &name); reader.Err() != nil {
		return "", "", &Error{File: r.path(configFile), Err: ErrCorrupt, Cause: reader.Err()}
	}
	plain, ok := plainName(name)
	switch {
	case !ok:
		return "", "", &Error{File: r.path(configFile), Reason: "transformers_weights is " + quote(name) + ", not a file of the model directory", Err: ErrCorrupt}
	case strings.HasSuffix(plain, ".safetensors.index.json"):
		return "", plain, nil
	case strings.HasSuffix(plain, ".safetensors"):
		return plain, "", nil
	}
	return "", "", &Error{File: r.path(configFile), Reason: "transformers_weights is " + quote(name) + ", which is no safetensors file", Err: ErrCorrupt}
}

func (m *Model) openFile(r *root, name string) error {
	f, err := r.open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	weights, err := safetensors.OpenFile(f, r.path(name))
	if err != nil {
		return openError(r.path(name), err)
	}
	m.files = append(m.files, weights)
	m.stamps = append(m.stamps, stamp{name, fileIdentity(weights.Info())})
	return nil
}

// openShards opens the files that the index names. As in transformers, the
// index's placement of tensors does not matter: every tensor of these files is
// the model's, and of several with one name that of the last file.
func (m *Model) openShards(r *root, text []byte) error {
	file := r.path(m.indexFile)
	text, err := pyjson.Clean(text)
	if err != nil {
		return &Error{File: file, Reason: "not a valid index", Err: ErrCorrupt, Cause: err}
	}
	var parsed struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &parsed); err != nil {
		return &Error{File: file, Reason: "not a valid index", Err: ErrCorrupt, Cause: err}
	}
	if len(parsed.WeightMap) == 0 {
		return &Error{File: file, Reason: "weight_map is absent or empty", Err: ErrCorrupt}
	}
	named := make(map[string]bool)
	for tensor, shard := range parsed.WeightMap {
		plain, ok := plainName(shard)
		if !ok {
			return &Error{File: file, Tensor: tensor, Reason: "shard " + quote(shard) + " is not a file of the model directory", Err: ErrCorrupt}
		}
		named[plain] = true
		parsed.WeightMap[tensor] = plain
	}
	if len(named) > maxShards {
		return &Error{File: file, Reason: fmt.Sprintf("%d shards, over the limit of %d", len(named), maxShards), Err: ErrCorrupt}
	}
	if a, b, ok := sameBase(named); ok {
		return &Error{File: file, Reason: "shards " + quote(a) + " and " + quote(b) + " have one name", Err: ErrCorrupt}
	}
	m.placed = parsed.WeightMap
	for i, shard := range slices.Sorted(maps.Keys(named)) {
		if err := m.openFile(r, shard); err != nil {
			return err
		}
		for _, name := range m.files[i].Names() {
			m.where[name] = i
		}
	}
	for i, f := range m.files {
		for _, name := range f.Names() {
			if m.where[name] == i {
				m.names = append(m.names, name)
			}
		}
	}
	return nil
}

// plainName is the file that an index means by name, and false if it would be
// outside the model's own folder on some system: a drive, a parent, an absolute
// one. A leading "./" changes nothing.
func plainName(name string) (string, bool) {
	if name == "" || strings.ContainsAny(name, `\:`+"\x00") || slices.Contains(strings.Split(name, "/"), "..") {
		return "", false
	}
	name = path.Clean(name)
	return name, name != "." && filepath.IsLocal(name)
}

// sameBase returns two files of different folders with one name, which the
// stored hashes could not distinguish.
func sameBase(files map[string]bool) (a, b string, ok bool) {
	seen := make(map[string]string, len(files))
	for _, file := range slices.Sorted(maps.Keys(files)) {
		base := path.Base(file)
		if first, dup := seen[base]; dup {
			return first, file, true
		}
		seen[base] = file
	}
	return "", "", false
}

// Dir returns the model directory, absolute and with links resolved.
func (m *Model) Dir() string { return m.dir }

// Files returns the paths of the weights files.
func (m *Model) Files() []string {
	paths := make([]string, len(m.files))
	for i, f := range m.files {
		paths[i] = f.Path()
	}
	return paths
}

// ConfigJSON returns a copy of config.json, with NaN and the infinities, which
// JSON lacks, as [pyjson.Clean] spells them.
func (m *Model) ConfigJSON() []byte { return slices.Clone(m.config) }

// Config decodes config.json into the value that into points to. The error
// wraps [ErrCorrupt].
func (m *Model) Config(into any) error {
	if err := json.Unmarshal(m.config, into); err != nil {
		return &Error{File: filepath.Join(m.dir, configFile), Err: ErrCorrupt, Cause: err}
	}
	return nil
}

// Log is the logger of the options, or one that discards.
func (m *Model) Log() *slog.Logger { return m.log }

// Names returns the tensors' names, file by file in file order.
func (m *Model) Names() []string { return slices.Clone(m.names) }

// Tensor returns the named tensor: a view that is valid until Close. The error
// wraps [ErrMissingTensor] or [ErrClosed].
func (m *Model) Tensor(name string) (safetensors.Tensor, error) {
	i, ok := m.where[name]
	if !ok {
		return safetensors.Tensor{}, &Error{File: m.weightsName(), Tensor: name, Err: ErrMissingTensor}
	}
	t, ok := m.files[i].Tensor(name)
	if !ok {
		return safetensors.Tensor{}, &Error{File: m.files[i].Path(), Tensor: name, Err: ErrClosed}
	}
	return t, nil
}

// Need is Tensor with a check: the dtype must be one of dtypes (any, if there
// are none) and the shape must be shape, in which -1 stands for any size. The
// error wraps [ErrMissingTensor] or [ErrShape] and names the file, the tensor,
// and the expected and actual values.
func (m *Model) Need(name string, dtypes []safetensors.DType, shape []int64) (safetensors.Tensor, error) {
	t, err := m.Tensor(name)
	if err != nil {
		var typed *Error
		if errors.As(err, &typed) && errors.Is(typed.Err, ErrMissingTensor) {
			typed.Reason = "wanted " + describe(dtypes, shape)
		}
		return safetensors.Tensor{}, err
	}
	fits := len(dtypes) == 0 || slices.Contains(dtypes, t.DType)
	fits = fits && slices.EqualFunc(t.Shape, shape, func(have, want int64) bool { return want == -1 || have == want })
	if !fits {
		return safetensors.Tensor{}, &Error{
			File: m.files[m.where[name]].Path(), Tensor: name, Err: ErrShape,
			Reason: "wanted " + describe(dtypes, shape) + ", found " + describe([]safetensors.DType{t.DType}, t.Shape),
		}
	}
	return t, nil
}

// describe writes dtypes and a shape as in "F32 or F16 [50257 768]".
func describe(dtypes []safetensors.DType, shape []int64) string {
	if len(dtypes) == 0 {
		return "any dtype " + fmt.Sprint(shape)
	}
	names := make([]string, len(dtypes))
	for i, d := range dtypes {
		names[i] = string(d)
	}
	return strings.Join(names, " or ") + " " + fmt.Sprint(shape)
}

// weightsName is the file that an error about a missing tensor names.
func (m *Model) weightsName() string {
	if m.indexFile == "" && len(m.files) == 1 {
		return m.files[0].Path()
	}
	return filepath.Join(m.dir, cmp.Or(m.indexFile, indexFile))
}

// Close unmaps every file. It waits for running hashing, which stops at its
// next chunk. A second Close does nothing.
func (m *Model) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.hashing.Lock() // the hashing goroutines read the mapping
	defer m.hashing.Unlock()
	var err error
	for _, f := range m.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

func (m *Model) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

package workloads

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
)

// Reference is what another implementation computes from a checkpoint, in a
// file named after the checkpoint's hash.
type Reference struct {
	Form     int               `json:"form"`
	Family   string            `json:"family"`
	Hash     string            `json:"hash"`
	Name     string            `json:"name"`
	Versions map[string]string `json:"versions"`
	// Parts are the expected outputs with their inputs, by workload.
	Parts map[string]json.RawMessage `json:"parts"`
}

// referenceForm is the format version of the files. Files of another version
// are computed again.
const referenceForm = 1

// EnvReferences names the environment variable with the folder of references.
// The default is genie/references below the user's cache folder.
const EnvReferences = "GENIE_REFERENCES"

// ErrNoReference means that a checkpoint's reference has not been computed yet.
var ErrNoReference = errors.New("genie: no reference")

// ReferenceFile is the path of a checkpoint's reference. It need not exist.
func ReferenceFile(c *Checkpoint) (string, error) {
	root := os.Getenv(EnvReferences)
	if root == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		root = filepath.Join(cache, "genie", "references")
	}
	return filepath.Join(root, c.Family+"-"+c.Hash+".json"), nil
}

// ReadReference reads a checkpoint's reference. A missing file, or one of
// another format version, is [ErrNoReference]; a broken one is [ErrReference].
func ReadReference(c *Checkpoint) (*Reference, error) {
	file, err := ReferenceFile(c)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w of %s in %s", ErrNoReference, c.Label(), file)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReference, err)
	}
	r := &Reference{}
	switch err := json.Unmarshal(text, r); {
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrReference, file, err)
	case r.Form != referenceForm:
		return nil, fmt.Errorf("%w of %s: %s is of another version", ErrNoReference, c.Label(), file)
	case r.Family != c.Family || r.Hash != c.Hash:
		return nil, fmt.Errorf("%w: %s is of %s %s", ErrReference, file, r.Family, r.Hash)
	}
	return r, nil
}

// WriteReference stores a checkpoint's reference and returns its path.
func WriteReference(c *Checkpoint, versions map[string]string, parts map[string]json.RawMessage) (string, error) {
	file, err := ReferenceFile(c)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(Reference{
		Form: referenceForm, Family: c.Family, Hash: c.Hash, Name: c.Name, Versions: versions, Parts: parts,
	})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrReference, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return "", err
	}
	return file, atomicfile.WriteFile(file, append(text, '\n'))
}

// Part decodes a part of a reference. A missing or broken part is
// [ErrReference].
func (r *Reference) Part(name string, into any) error {
	text, ok := r.Parts[name]
	if !ok {
		return fmt.Errorf("%w: the reference of %s has no %s", ErrReference, r.Name, name)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%w: %s of %s: %w", ErrReference, name, r.Name, err)
	}
	return nil
}

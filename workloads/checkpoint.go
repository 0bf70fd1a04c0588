package workloads

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/transport"
)

// ErrCheckpoint is the cause of an error about a checkpoint directory to
// measure.
var ErrCheckpoint = errors.New("genie: unusable checkpoint")

// The families of checkpoints that workloads can run on, by their names in
// config.json.
const (
	GPT2    = "gpt2"     // llm-decode and llm-prefill
	ResNet  = "resnet"   // vision-cnn
	CLIP    = "clip"     // multimodal-vqa
	EasyVQA = "easy-vqa" // multimodal-vqa, with the network of testdata/models/easy-vqa
)

// Families lists all families, in the order of tables.
func Families() []string { return []string{GPT2, ResNet, CLIP, EasyVQA} }

// Checkpoint is a directory in the Hugging Face layout that replaces a scale's
// model for the workloads of its family. Results carry its name and its hash.
type Checkpoint struct {
	Family string `json:"family"`
	Dir    string `json:"dir"` // absolute
	Name   string `json:"name"`
	Hash   string `json:"hash"`  // of config.json and all tensors, SHA-256 in hexadecimal
	Bytes  int64  `json:"bytes"` // of its tensors
}

// largeBytes is the size from which a checkpoint is run like the full scale:
// one sequence at a time, without trial runs.
const largeBytes = 2 << 30

// Scale says how a checkpoint of this size is run: [Small] or [Full].
func (c *Checkpoint) Scale() Scale {
	if c.Bytes > largeBytes {
		return Full
	}
	return Small
}

// Label names the checkpoint in results: its name and the start of its hash,
// which distinguishes it from others of that name.
func (c *Checkpoint) Label() string {
	const digits = 12
	return c.Name + "@" + c.Hash[:min(digits, len(c.Hash))]
}

// OpenCheckpoint reads a directory of a family and hashes it. Errors wrap
// [ErrCheckpoint]. progress may be nil.
func OpenCheckpoint(ctx context.Context, family, dir string, progress transport.Progress) (*Checkpoint, error) {
	if !slices.Contains(Families(), family) {
		return nil, fmt.Errorf("%w: no family %q, there are %s", ErrCheckpoint, family, strings.Join(Families(), ", "))
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	m, err := checkpoint.Open(abs, checkpoint.Options{Progress: progress})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	defer m.Close()
	var config struct {
		Type string `json:"model_type"`
	}
	if err := json.Unmarshal(m.ConfigJSON(), &config); err != nil || config.Type != family {
		return nil, fmt.Errorf("%w: %s is of model_type %.40q, not %q", ErrCheckpoint, abs, config.Type, family)
	}
	c := &Checkpoint{Family: family, Dir: abs, Name: checkpointName(abs)}
	if err := c.hash(ctx, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return c, nil
}

// hash covers everything that decides what the model computes.
func (c *Checkpoint) hash(ctx context.Context, m *checkpoint.Model) error {
	if err := m.HashAll(ctx); err != nil {
		return err
	}
	h := sha256.New()
	h.Write(m.ConfigJSON())
	names := m.Names()
	slices.Sort(names)
	for _, name := range names {
		digest, err := m.Hash(name)
		if err != nil {
			return err
		}
		t, err := m.Tensor(name)
		if err != nil {
			return err
		}
		c.Bytes += int64(len(t.Data))
		fmt.Fprintf(h, "\n%q %x", name, digest)
	}
	c.Hash = hex.EncodeToString(h.Sum(nil))
	return nil
}

// checkpointName is the folder's name, or the model's name in the cache of
// Hugging Face (models--ORG--NAME/snapshots/COMMIT), reduced to what a result's
// name may contain.
func checkpointName(dir string) string {
	name := filepath.Base(dir)
	if up := filepath.Dir(dir); filepath.Base(up) == "snapshots" {
		parts := strings.Split(filepath.Base(filepath.Dir(up)), "--")
		name = parts[len(parts)-1]
	}
	safe := func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}
	const longest = 60
	name = strings.Map(safe, name)
	return name[:min(longest, len(name))]
}

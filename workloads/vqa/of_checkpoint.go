package vqa

import (
	"fmt"

	"github.com/genie-sdk/go/workloads"
)

// Part is the part of a checkpoint's reference that the workload needs: logits
// of [CheckpointImages] images, and the inputs of these logits.
const (
	Part             = "vqa"
	CheckpointImages = 4
)

// stored is the content of a reference: CLIP has texts, an easy-VQA network
// questions.
type stored struct {
	workloads.StoredLogits

	Tokens [][]int32 `json:"tokens"` // of CLIP, [texts][seq]
	Mask   [][]int32 `json:"mask"`
	Image  []int32   `json:"image"` // of easy-VQA: which image each question is about
	Words  [][]int32 `json:"words"` // [questions][words]
}

// maxSize bounds the images of a reference.
const maxSize = 2048

// OfCheckpoint returns the workloads on a checkpoint of CLIP or of an easy-VQA
// network with its reference.
func OfCheckpoint(c *workloads.Checkpoint, r *workloads.Reference) ([]workloads.Workload, error) {
	var s stored
	if err := r.Part(Part, &s); err != nil {
		return nil, err
	}
	want, err := s.Read(c.Label())
	if err != nil {
		return nil, err
	}
	if want.Size < 1 || want.Size > maxSize {
		return nil, fmt.Errorf("%w: %s: images of %d pixels", workloads.ErrReference, c.Label(), want.Size)
	}
	want.CloseCalls = true
	id := workloads.ID{Name: Name, Model: c.Label(), Checkpoint: c.Label(), Scale: c.Scale()}
	if c.Family == workloads.EasyVQA {
		w, err := s.easyVQA(c, want, id)
		return []workloads.Workload{w}, err
	}
	tokens, err := rows(s.Tokens, want.Columns)
	if err != nil {
		return nil, err
	}
	mask, err := rows(s.Mask, want.Columns)
	if err != nil || len(mask) != len(tokens) {
		return nil, fmt.Errorf("%w: %s: a mask of %d for %d tokens", workloads.ErrReference, c.Label(), len(mask), len(tokens))
	}
	var all []workloads.Workload
	for _, batch := range []int{1, CheckpointImages} {
		some, err := want.First(batch)
		if err != nil {
			return nil, err
		}
		id.Batch = batch
		w := newWorkload(some, id, tokens, mask)
		w.dir = c.Dir
		all = append(all, w)
	}
	return all, nil
}

// rows concatenates n rows of equal length.
func rows(r [][]int32, n int) ([]int32, error) {
	if len(r) != n || len(r[0]) == 0 {
		return nil, fmt.Errorf("%w: %d rows, not %d", workloads.ErrReference, len(r), n)
	}
	var out []int32
	for _, row := range r {
		if len(row) != len(r[0]) {
			return nil, fmt.Errorf("%w: rows of %d and %d", workloads.ErrReference, len(r[0]), len(row))
		}
		out = append(out, row...)
	}
	return out, nil
}

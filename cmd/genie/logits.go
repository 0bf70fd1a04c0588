package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// logitsFile collects the logits of a generation, float32: those of the
// prompt's rows, and one row for each step after the first token.
type logitsFile struct {
	vocab         int
	prefill, step []byte
}

// add is a genie.GenerateRequest's OnLogits.
func (l *logitsFile) add(step int, t transport.Tensor) error {
	if t.DType != plan.F32 || len(t.Shape) != 3 || t.Shape[0] != 1 || t.Shape[2] != l.vocab {
		return fmt.Errorf("logits are %v%v, not f32 [1, rows, %d]", t.DType, t.Shape, l.vocab)
	}
	if step == 0 {
		l.prefill = append(l.prefill, t.Data...)
	} else {
		l.step = append(l.step, t.Data...)
	}
	return nil
}

// write publishes the complete file or nothing; it writes directly to a target
// that is not a regular file.
func (l *logitsFile) write(ctx context.Context, path string) (err error) {
	parts := []struct {
		name string
		data []byte
	}{{"prefill", l.prefill}, {"step", l.step}}
	entries := make([]safetensors.Entry, len(parts))
	for i, p := range parts {
		rows := int64(len(p.data) / 4 / l.vocab)
		entries[i] = safetensors.Entry{Name: p.name, DType: safetensors.F32, Shape: []int64{rows, int64(l.vocab)}}
	}
	w, err := safetensors.CreateContext(ctx, path, entries, nil)
	if err != nil {
		return fmt.Errorf("--logits-out: %w", err)
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	for _, p := range parts {
		if err := w.Begin(p.name); err != nil {
			return fmt.Errorf("--logits-out: %w", err)
		}
		if _, err := w.Write(p.data); err != nil {
			return fmt.Errorf("--logits-out: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("--logits-out: %w", err)
	}
	return nil
}

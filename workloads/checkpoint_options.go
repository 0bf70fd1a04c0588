package workloads

import "github.com/genie-sdk/go/transport/plan"

// CheckpointOptions configure how a checkpoint with random weights is written,
// for example by gpt2.NewCheckpoint. The zero value is usable.
type CheckpointOptions struct {
	// DType is F32 (the default), F16 or BF16. Narrower weights are those of
	// F32, rounded to nearest even.
	DType plan.DType
	// Progress, if set, receives the bytes written so far and the total, from
	// the calling goroutine.
	Progress func(done, total int64)
	// Workers is the number of goroutines that generate numbers; 2 when it is
	// 0. The bytes do not depend on it.
	Workers int
}

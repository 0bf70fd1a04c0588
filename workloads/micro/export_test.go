package micro

import (
	"context"

	"github.com/genie-sdk/go/workloads"
)

// WriteCheckpoint makes a workload's checkpoint as Dir does at the small scale.
func WriteCheckpoint(ctx context.Context, w workloads.Workload, dir string) error {
	return w.(*workload).c.ensureCheckpoint(ctx, dir)
}

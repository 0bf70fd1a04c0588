package baselines

import (
	"context"
	"fmt"
)

func startPeer(_ context.Context, s Spec) (Cell, error) {
	return nil, fmt.Errorf("%w: %s", ErrUnavailable, s.Baseline.Program)
}

package simulation

import (
	"fmt"
	"maps"
	"slices"

	"github.com/genie-sdk/go/semantic"
)

// Bounds of a scenario's own devices.
const (
	maxRate = 1e18 // operations or bytes a second
	maxStep = 3600 // seconds of one step
)

// checkDevices holds the scenario's own devices to rates that can be.
func (s *Scenario) checkDevices(c *checker) {
	for _, name := range slices.Sorted(maps.Keys(s.Devices)) {
		d := s.Devices[name]
		c.namef(name, "a device")
		c.wantf(d.Kind == "" || d.Kind == semantic.DeviceCPU || d.Kind == semantic.DeviceCUDA, "device %.80q is of kind %.40q", name, d.Kind)
		c.withinf(d.FLOPS, 1, maxRate, "FLOPS of %.80q", name)
		c.withinf(d.Bandwidth, 1, maxRate, "Bandwidth of %.80q", name)
		c.withinf(d.HalfFLOPS, 0, maxRate, "HalfFLOPS of %.80q", name)
		c.withinf(d.Link, 0, maxRate, "Link of %.80q", name)
		c.withinf(d.Launch, 0, 1, "Launch of %.80q", name)
	}
}

// checkTimes refuses times that cannot be. A calibration may contain any curve.
func checkTimes(t Times, w *Workers) error {
	chunk := min(w.Chunk, maxTokens)
	for _, x := range []float64{
		t.Decode(1), t.Decode(w.MaxBatch), t.Row(1), t.Row(maxTokens),
		t.Prefill(1, 0), t.Prefill(chunk, 0), t.Prefill(chunk, maxTokens), t.Prefill(maxTokens, maxTokens),
	} {
		if !(x >= 0 && x <= maxStep) {
			return fmt.Errorf("%w: a step takes %v seconds, want 0 to %d", ErrScenario, x, maxStep)
		}
	}
	return nil
}

package semantic

import (
	"errors"

	"github.com/genie-sdk/go/transport/plan"
)

// ErrCalibration is the cause of errors about a calibration.
var ErrCalibration = errors.New("genie: calibration")

// Calibration is how fast a device, and the way to it, were measured to be.
type Calibration struct {
	// Kernels is the time of one kernel over the work in it, by class. A class
	// that is missing goes by the device's roofline.
	Kernels map[Class]Curve `json:"kernels"`
	// Call is the time of a run that neither computes nor moves anything, in
	// seconds: the round trip and what is done for each run.
	Call float64 `json:"call_seconds"`
	// Up and Down are the times to bring bytes to the device and back, above
	// Call. In-process they are the copies that are made.
	Up   Curve `json:"up"`
	Down Curve `json:"down"`
}

// KernelSeconds is the time of one kernel on d: by calibration where there is
// one for its class, else by the roofline.
func (d Device) KernelSeconds(k Kernel) float64 {
	if d.Calibration != nil {
		if c := d.Calibration.Kernels[k.Class]; len(c) > 0 {
			return c.Seconds(k.Class.Work(k.Cost))
		}
	}
	return k.Cost.Seconds(d)
}

// TransferSeconds is the time of a run that brings up bytes to the device and
// down bytes back, what it computes apart: without a calibration the bytes at
// the rate of the link, which takes no time in-process.
func (d Device) TransferSeconds(up, down float64) float64 {
	if c := d.Calibration; c != nil {
		return c.Call + c.Up.Seconds(up) + c.Down.Seconds(down)
	}
	if d.Link > 0 {
		return (up + down) / d.Link
	}
	return 0
}

// Prediction is what the cost model says of one run.
type Prediction struct {
	Kernels  float64 // seconds on the device
	Transfer float64 // seconds for the round trip and the bytes
	Up, Down float64 // bytes of inputs and outputs; weights and state stay
}

// Seconds is the time from call to result. The engine computes when all inputs
// are there and answers when all outputs are, so the parts add up.
func (p Prediction) Seconds() float64 { return p.Kernels + p.Transfer }

// Predict says how long a run of the declared outputs takes on d, with the
// symbols bound to b, when weights are in place and carried values stay there.
func (s *SRG) Predict(d Device, b plan.Bindings) (Prediction, error) {
	var p Prediction
	sizes, err := s.bind(b)
	if err != nil {
		return p, err
	}
	kernels, err := s.KernelsOn(d, b)
	if err != nil {
		return p, err
	}
	for _, k := range kernels {
		p.Kernels += d.KernelSeconds(k)
	}
	stays := map[int]bool{}
	for _, c := range s.Graph.Carries() {
		stays[c.In.ID()] = true
	}
	for _, t := range s.Graph.Inputs() {
		if !s.Nodes[t.ID()].Dead && !stays[t.ID()] {
			p.Up += s.storedBytes(t, sizes[t.ID()])
		}
	}
	for _, o := range s.Graph.Outputs() {
		p.Down += s.storedBytes(o.Tensor, sizes[o.Tensor.ID()])
	}
	p.Transfer = d.TransferSeconds(p.Up, p.Down)
	return p, nil
}

// times is the time of every tensor on d, by id. Without a calibration each is
// by itself; with one a kernel's time is shared by its tensors in proportion to
// their FLOPs, and is its result's where there are none.
func (s *SRG) times(d Device, b plan.Bindings, costs []Cost) ([]float64, error) {
	own := make([]float64, len(s.Nodes))
	if d.Calibration == nil {
		for id := range s.Nodes {
			own[id] = costs[id].Seconds(d)
		}
		return own, nil
	}
	kernels, err := s.KernelsOn(d, b)
	if err != nil {
		return nil, err
	}
	for _, k := range kernels {
		seconds := d.KernelSeconds(k)
		if k.Cost.FLOPs <= 0 {
			own[k.Nodes[len(k.Nodes)-1]] += seconds
			continue
		}
		for i, id := range k.Nodes {
			own[id] += seconds * k.flops[i] / k.Cost.FLOPs
		}
	}
	return own, nil
}

package semantic

import (
	"errors"

	"github.com/genie-sdk/go/transport/plan"
)

// ErrCalibration is the cause of errors about a calibration.
var ErrCalibration = errors.New("genie: calibration")

// Calibration is the measured speed of a device and of the connection to it.
type Calibration struct {
	// Kernels is the time of one kernel as a function of its work, by class. A
	// missing class uses the device's roofline.
	Kernels map[Class]Curve `json:"kernels"`
	// Call is the time of a run that neither computes nor moves anything, in
	// seconds: the round trip and the overhead of each run.
	Call float64 `json:"call_seconds"`
	// Up and Down are the times to move bytes to the device and back, in
	// addition to Call. In-process they are the time to copy.
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
	return d.Launch + k.Cost.Seconds(d.multiplying(k.half))
}

// multiplying is the device with the rate of products of these weights.
func (d Device) multiplying(half bool) Device {
	if half && d.HalfFLOPS > 0 {
		d.FLOPS = d.HalfFLOPS
	}
	return d
}

// TransferSeconds is the time of a run that moves up bytes to the device and
// down bytes back, excluding computation. Without a calibration it is the time
// of the bytes at the rate of the link, which is zero in-process.
func (d Device) TransferSeconds(up, down float64) float64 {
	if c := d.Calibration; c != nil {
		return c.Call + c.Up.Seconds(up) + c.Down.Seconds(down)
	}
	if d.Link > 0 {
		return (up + down) / d.Link
	}
	return 0
}

// Prediction is the cost model's estimate for one run.
type Prediction struct {
	Kernels  float64 // seconds on the device
	Transfer float64 // seconds for the round trip and the bytes
	Up, Down float64 // bytes of inputs and outputs; weights and state stay
}

// Seconds is the time from call to result. The engine starts when all inputs
// have arrived and answers when all outputs are ready, so the parts add up.
func (p Prediction) Seconds() float64 { return p.Kernels + p.Transfer }

// Predict estimates the time of a run of the declared outputs on d, with the
// symbols bound to b, when weights are resident and carried values stay on the
// device.
func (s *SRG) Predict(d Device, b plan.Bindings) (Prediction, error) {
	var p Prediction
	s = s.core()
	sizes, err := s.bind(b)
	if err != nil {
		return p, err
	}
	kernels, err := s.kernelsOn(d, b)
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

// seconds is the time of tensor id by itself, by the roofline.
func (s *SRG) seconds(id int, c Cost, d Device) float64 {
	t := s.Nodes[id].Tensor
	return c.Seconds(d.multiplying(is(t, "matmul") && isHalf(s.storage(t.In()[1]))))
}

// costsOn is the cost of every captured tensor and the time that it takes on d
// by itself.
func (s *SRG) costsOn(d Device, b plan.Bindings) ([]Cost, []float64, error) {
	core := s.core()
	sizes, err := core.bind(b)
	if err != nil {
		return nil, nil, err
	}
	costs, seconds := core.costs(sizes), make([]float64, len(s.Nodes))
	for id, c := range costs {
		if at := s.ownerOf(id); at >= 0 && core.Nodes[id].Tensor.Op() != nil {
			seconds[at] += core.seconds(id, c, d)
		}
	}
	return s.lifted(costs), seconds, nil
}

// timesOn is the time of every captured tensor on d, by id.
func (s *SRG) timesOn(d Device, b plan.Bindings) ([]float64, error) {
	core := s.core()
	sizes, err := core.bind(b)
	if err != nil {
		return nil, err
	}
	times, err := core.times(d, b, core.costs(sizes))
	if err != nil || s.form == nil {
		return times, err
	}
	own := make([]float64, len(s.Nodes))
	for id, seconds := range times {
		if at := s.form.owner[id]; at >= 0 {
			own[at] += seconds
		}
	}
	return own, nil
}

// times is the time of every tensor on d, by id. Without a calibration each
// tensor counts separately. With one, the tensors of a kernel share its time in
// proportion to their FLOPs; where there are none, all of it goes to the
// result.
func (s *SRG) times(d Device, b plan.Bindings, costs []Cost) ([]float64, error) {
	own := make([]float64, len(s.Nodes))
	if d.Calibration == nil {
		for id := range s.Nodes {
			own[id] = s.seconds(id, costs[id], d)
		}
		return own, nil
	}
	kernels, err := s.kernelsOn(d, b)
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

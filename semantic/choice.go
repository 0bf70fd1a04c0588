package semantic

import (
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/kernelchoice"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// The kinds of devices that the cost model knows.
const (
	DeviceCPU  = ""     // the CPU of a process
	DeviceCUDA = "cuda" // a GPU, with the CPU beside it for what it lacks
)

// besidePrefix begins the name of a kernel of the CPU beside a device.
const besidePrefix = kernelchoice.Lacking + ": "

const (
	// referenceRate is the work that references of operators do in a second, in
	// FLOPs and elements moved. On two cores of a server (AVX-512, 2026) it was
	// 0.08e9 (sinh) to 2.2e9 (layer norm), 0.55e9 for a sum with broadcasting.
	referenceRate = 4e8
	// hostLink is the rate at which values move between a GPU and the CPU beside
	// it, in bytes per second: PCIe 4.0 with 16 lanes in one direction, about
	// two thirds of its 32 GB/s.
	hostLink = 20e9
	// roomStep is the rounding of the room of a growing state, in rows.
	roomStep = 64
)

// kernelsOf names what computes each group of a program on d at given sizes, by the
// same choice as the device.
func (d Device) kernelsOf(p *program.Program, b plan.Bindings) ([]string, error) {
	bound, err := boundTo(p, b)
	if err != nil {
		return nil, err
	}
	names := kernelchoice.Kernels(p, bound)
	if d.Kind != DeviceCUDA {
		return names, nil
	}
	for i := range p.Groups {
		if kernel, ok := kernelchoice.OnCUDA(p, i); ok {
			names[i] = kernel
		} else {
			names[i] = besidePrefix + names[i]
		}
	}
	return names, nil
}

// boundTo is a program at given sizes, with room in its states for the rows that a
// run adds, as a session has it.
func boundTo(p *program.Program, b plan.Bindings) (*program.Bound, error) {
	bound := program.NewBound(p)
	sizes := make([]int, len(p.Symbols()))
	for i, s := range p.Symbols() {
		sizes[i] = b[s]
	}
	bound.Set(sizes)
	for i, s := range p.Plan().States {
		rows := 0
		if s.Axis >= 0 {
			n, err := p.Plan().Values[s.Out].Spec.Shape[s.Axis].Eval(b)
			if err != nil {
				return nil, err
			}
			rows = (n + roomStep - 1) / roomStep * roomStep
		}
		bound.SetCapacity(i, rows, 1)
	}
	return bound, bound.Eval(^uint64(0))
}

// Reference reports whether the kernel is the reference of an operator, on the
// device or beside it: there is no other, and it is slow.
func (k *Kernel) Reference() bool { return isReference(k.By) }

// Rated is the class whose rate the kernel has: that of references, or its own.
func (k *Kernel) Rated() Class {
	if k.Reference() {
		return ClassReference
	}
	return k.Class
}

// beside reports whether a kernel runs on the CPU beside the device.
func (k *Kernel) beside() bool {
	return strings.HasPrefix(k.By, besidePrefix)
}

// isReference reports whether a kernel's name says that it is a reference.
func isReference(by string) bool {
	return strings.TrimPrefix(by, besidePrefix) == kernelchoice.Reference
}

// besideSeconds is the time of a kernel on the CPU beside a GPU: its own, and that
// of moving what it reads and writes.
func besideSeconds(k Kernel) float64 {
	k.By = strings.TrimPrefix(k.By, besidePrefix)
	return ReferenceDevice().KernelSeconds(k) + (k.Cost.BytesRead+k.Cost.BytesWritten)/hostLink
}

// slow gives the tensors of reference kernels the time of these.
func (s *SRG) slow(d Device, b plan.Bindings, own []float64) error {
	if len(s.Graph.Outputs()) == 0 {
		return nil // nothing that a run would compute
	}
	kernels, err := s.kernelsOn(d, b)
	if err != nil {
		return err
	}
	for i := range kernels {
		k := &kernels[i]
		if !k.Reference() && !k.beside() || len(k.Nodes) == 0 {
			continue
		}
		seconds := d.KernelSeconds(*k)
		for _, id := range k.Nodes {
			own[id] = 0
		}
		own[slices.Max(k.Nodes)] = seconds
	}
	return nil
}

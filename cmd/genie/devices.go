package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/semantic"
)

// checkDevices returns the checks of devices beside the CPU: one of each, or one
// that says why a kind has none. A machine without any is fine.
func (a *app) checkDevices() []func(context.Context) check {
	var checks []func(context.Context) check
	for _, k := range a.devices {
		name := k.Name + " devices"
		if k.Build != "" {
			checks = append(checks, always(check{Name: name, Status: statusOK, Detail: "need " + k.Build}))
			continue
		}
		there, err := k.List()
		switch {
		case err != nil:
			checks = append(checks, always(check{Name: name, Status: statusWarn, Detail: "none: " + line(err)}))
		case len(there) == 0:
			checks = append(checks, always(check{Name: name, Status: statusWarn, Detail: "none"}))
		}
		for i, info := range there {
			checks = append(checks, func(ctx context.Context) check { return checkDevice(ctx, &k, i, &info) })
		}
	}
	return checks
}

func always(c check) func(context.Context) check { return func(context.Context) check { return c } }

// checkDevice measures a device: the rate of its memory, which limits decoding, and
// of its matrix products, which limits prefill.
func checkDevice(ctx context.Context, k *host.Kind, ordinal int, info *host.DeviceInfo) check {
	name := k.Device(ordinal)
	c := check{
		name, statusOK,
		fmt.Sprintf("%s, compute capability %s, %s, driver %s", info.Model, info.Capability, formatBytes(float64(info.Memory)), info.Driver),
		map[string]any{"model": info.Model, "compute_capability": info.Capability, "memory_bytes": info.Memory, "driver": info.Driver},
	}
	rates, err := k.Probe(ctx, ordinal)
	if err != nil {
		c.Status, c.Detail = statusFail, c.Detail+": "+line(err)
		return c
	}
	said := []string{fmt.Sprintf("memory %.0f GB/s", rates.Copies/1e9)}
	c.Values["bytes_per_s"] = rates.Copies
	for _, p := range rates.Products {
		said = append(said, fmt.Sprintf("products of %s %.1f TFLOP/s", p.DType, p.FLOPs/1e12))
		c.Values["flops_"+p.DType] = p.FLOPs
	}
	c.Detail += "; " + strings.Join(said, ", ")
	if g, ok := semantic.PublishedGPU(semantic.GPU{Name: info.Model}); ok {
		c.Detail += fmt.Sprintf("; its data sheet has %.0f GB/s, %.1f TFLOP/s, and %.1f in bfloat16", g.Bandwidth/1e9, g.FLOPS/1e12, g.HalfFLOPS/1e12)
		c.Values["published"] = g
	}
	return c
}

package main

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/host"
)

// TestDoctorDevices tests what doctor says of devices beside the CPU.
func TestDoctorDevices(t *testing.T) {
	h100 := host.DeviceInfo{Model: "Fast 9", Capability: "9.0", Driver: "CUDA 12.9", Memory: 80 << 30}
	rates := host.Rates{Copies: 3.25e12, Products: []host.ProductRate{{DType: "f32", FLOPs: 51e12}, {DType: "bf16", FLOPs: 612e12}}}
	two := func() ([]host.DeviceInfo, error) { return []host.DeviceInfo{h100, h100}, nil }
	for _, tc := range []struct {
		name string
		kind host.Kind
		want []check
	}{
		{
			"two, of which one fails",
			host.Kind{Name: "cuda", List: two, Probe: func(_ context.Context, i int) (host.Rates, error) {
				if i == 1 {
					return host.Rates{}, errors.New("genie: it is\nbusy")
				}
				return rates, nil
			}},
			[]check{
				{"cuda:0", statusOK, "Fast 9, compute capability 9.0, 80.0 GiB, driver CUDA 12.9; memory 3250 GB/s, products of f32 51.0 TFLOP/s, products of bf16 612.0 TFLOP/s", map[string]any{
					"model": "Fast 9", "compute_capability": "9.0", "memory_bytes": int64(80 << 30), "driver": "CUDA 12.9",
					"bytes_per_s": 3.25e12, "flops_f32": 51e12, "flops_bf16": 612e12,
				}},
				{"cuda:1", statusFail, "Fast 9, compute capability 9.0, 80.0 GiB, driver CUDA 12.9: it is; busy", map[string]any{
					"model": "Fast 9", "compute_capability": "9.0", "memory_bytes": int64(80 << 30), "driver": "CUDA 12.9",
				}},
			},
		},
		{
			"no driver",
			host.Kind{Name: "cuda", List: func() ([]host.DeviceInfo, error) { return nil, errors.New("genie: CUDA: no driver") }},
			[]check{{Name: "cuda devices", Status: statusWarn, Detail: "none: CUDA: no driver"}},
		},
		{
			"no device",
			host.Kind{Name: "cuda", List: func() ([]host.DeviceInfo, error) { return nil, nil }},
			[]check{{Name: "cuda devices", Status: statusWarn, Detail: "none"}},
		},
		{
			"another build",
			host.Kind{Name: "cuda", Build: "a genie of another kind"},
			[]check{{Name: "cuda devices", Status: statusOK, Detail: "need a genie of another kind"}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := &app{devices: host.Devices{tc.kind}}
			var got []check
			for _, f := range a.checkDevices() {
				got = append(got, f(context.Background()))
			}
			require.Equal(t, tc.want, got)
		})
	}
}

// TestCheckPublished checks that the rates of a GPU's data sheet are beside what
// was measured.
func TestCheckPublished(t *testing.T) {
	k := host.Kind{Name: "cuda", Probe: func(context.Context, int) (host.Rates, error) { return host.Rates{Copies: 3e12}, nil }}
	c := checkDevice(t.Context(), &k, 0, &host.DeviceInfo{Model: "NVIDIA H200"})
	require.Contains(t, c.Detail, "memory 3000 GB/s; its data sheet has 4800 GB/s, 67.0 TFLOP/s, and 989.0 in bfloat16")
	require.Contains(t, c.Values, "published")
}

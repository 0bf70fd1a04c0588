//go:build !genie_cuda

package main

import "github.com/genie-sdk/go/internal/host"

// linked is the kinds of devices of this program.
func linked() host.Devices {
	return host.Devices{{
		Name:  "cuda",
		Build: "a genie built with the tag genie_cuda; in a checkout: deploy/release/cuda.sh --out bin",
	}}
}

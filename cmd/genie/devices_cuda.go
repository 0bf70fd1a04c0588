//go:build genie_cuda

package main

import (
	"github.com/genie-sdk/go/internal/device/cuda/cudriver"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/host/cudahost"
)

// linked is the kinds of devices of this program.
func linked() host.Devices { return host.Devices{cudahost.Kind(cudriver.New)} }

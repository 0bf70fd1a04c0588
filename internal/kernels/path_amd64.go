//go:build amd64 && !purego

package kernels

import "github.com/klauspost/cpuid/v2"

// bestPath queries CPUID, and XGETBV for the operating system's part. The paths
// are nested: a CPU with the AVX-512 subset also runs the AVX2 kernels.
func bestPath() codePath {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C) {
		return pathGeneric
	}
	if !cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512DQ, cpuid.AVX512BW, cpuid.AVX512VL) {
		return pathAVX2
	}
	return pathAVX512
}

//go:build amd64 && !purego

package kernels

import "unsafe"

func probeFMAArch(rounds int) (lanes int) {
	switch active {
	case pathAVX512:
		probeFMAAVX512(rounds)
		return 16
	case pathAVX2:
		probeFMAAVX2(rounds)
		return 8
	}
	return 0
}

func probeReadArch(s []float32) bool {
	switch active {
	case pathAVX512:
		probeReadAVX512(unsafe.SliceData(s), len(s))
	case pathAVX2:
		probeReadAVX2(unsafe.SliceData(s), len(s))
	default:
		return false
	}
	return true
}

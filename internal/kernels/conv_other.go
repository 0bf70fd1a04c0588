//go:build !amd64 || purego

package kernels

func convRows() int { return 6 }

func depthwisePanels() int { return 1 }

func partialPanels() bool { return false }

func (*convRun) productArch() bool { return false }

func (*convRun) depthwiseArch() int { return 0 }

func winogradFloats() int { return 4096 }

func winogradLanes() int { return 8 }

func winogradInputArch([]float32, int, []float32, int, int, int) bool { return false }

func winogradOutputArch([]float32, int, int, []float32, int, []float32, []float32, bool) bool {
	return false
}

func transposeArch([]float32, int, []float32, int, int, int) int { return 0 }

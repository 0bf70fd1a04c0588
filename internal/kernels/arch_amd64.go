//go:build amd64 && !purego

package kernels

// Without assembly every kernel says that it did not do the work.

func binaryArch(arithmetic, []float32, []float32, []float32) bool { return false }

func scalarArch(arithmetic, []float32, []float32, float32) bool { return false }

func unaryArch(unary, []float32, []float32) bool { return false }

func softmaxArch([]float32, []float32) bool { return false }

func normaliseArch([]float32, []float32, float32, float32) bool { return false }

func sumSquaredDistanceArch([]float32, float32) (float32, bool) { return 0, false }

func sumArch([]float32) (float32, bool) { return 0, false }

func maxArch([]float32) (float32, bool) { return 0, false }

func f16ToF32Arch([]float32, []uint16) bool { return false }

func f32ToF16Arch([]uint16, []float32) bool { return false }

func bf16ToF32Arch([]float32, []uint16) bool { return false }

func f32ToBF16Arch([]uint16, []float32) bool { return false }

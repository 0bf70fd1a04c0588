package kernels

import "fmt"

// needMatrix panics unless a slice of the given length holds rows x cols
// elements whose rows start stride elements apart. It does not overflow.
func needMatrix(op, operand string, length, rows, cols, stride int) {
	if rows < 0 || cols < 0 || stride < 0 {
		panic(fmt.Sprintf("kernels: %s: %s has a negative size: rows %d, columns %d, stride %d", op, operand, rows, cols, stride))
	}
	if rows == 0 || cols == 0 {
		return
	}
	if cols > length || (rows > 1 && stride > 0 && rows-1 > (length-cols)/stride) {
		panic(fmt.Sprintf("kernels: %s: %s of %d elements is too short for %d rows of %d, stride %d", op, operand, length, rows, cols, stride))
	}
}

// needOutput is needMatrix for an output: its rows must not overlap.
func needOutput(op string, length, rows, cols, stride int) {
	if rows > 1 && stride < cols {
		panic(fmt.Sprintf("kernels: %s: rows of the output overlap: stride %d, columns %d", op, stride, cols))
	}
	needMatrix(op, "the output", length, rows, cols, stride)
}

func needRange(op string, lo, hi, limit int) {
	if lo < 0 || lo > hi || hi > limit {
		panic(fmt.Sprintf("kernels: %s: range %d..%d is not within 0..%d", op, lo, hi, limit))
	}
}

func needDims(op string, m, n, k int) {
	if m < 0 || n < 0 || k < 0 {
		panic(fmt.Sprintf("kernels: %s: negative dimension: m %d, n %d, k %d", op, m, n, k))
	}
}

func needSame(op string, dst, src int) {
	if dst != src {
		panic(fmt.Sprintf("kernels: %s: lengths differ: %d and %d", op, dst, src))
	}
}

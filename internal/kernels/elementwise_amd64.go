//go:build amd64 && !purego

package kernels

import "unsafe"

func binaryArch(op arithmetic, dst, a, b []float32) bool {
	n := len(dst)
	d, x, y := unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b)
	switch active {
	case pathAVX512:
		switch op {
		case opAdd:
			addAVX512(d, x, y, n)
		case opSub:
			subAVX512(d, x, y, n)
		case opMul:
			mulAVX512(d, x, y, n)
		case opDiv:
			divAVX512(d, x, y, n)
		}
		return true
	case pathAVX2:
		switch op {
		case opAdd:
			addAVX2(d, x, y, n)
		case opSub:
			subAVX2(d, x, y, n)
		case opMul:
			mulAVX2(d, x, y, n)
		case opDiv:
			divAVX2(d, x, y, n)
		}
		return true
	}
	return false
}

func scalarArch(op arithmetic, dst, a []float32, s float32) bool {
	n := len(dst)
	d, x := unsafe.SliceData(dst), unsafe.SliceData(a)
	switch active {
	case pathAVX512:
		switch op {
		case opAdd:
			addScalarAVX512(d, x, s, n)
		case opSub:
			subScalarAVX512(d, x, s, n)
		case opMul:
			mulScalarAVX512(d, x, s, n)
		case opDiv:
			divScalarAVX512(d, x, s, n)
		case opScalarSub:
			scalarSubAVX512(d, x, s, n)
		case opScalarDiv:
			scalarDivAVX512(d, x, s, n)
		}
		return true
	case pathAVX2:
		switch op {
		case opAdd:
			addScalarAVX2(d, x, s, n)
		case opSub:
			subScalarAVX2(d, x, s, n)
		case opMul:
			mulScalarAVX2(d, x, s, n)
		case opDiv:
			divScalarAVX2(d, x, s, n)
		case opScalarSub:
			scalarSubAVX2(d, x, s, n)
		case opScalarDiv:
			scalarDivAVX2(d, x, s, n)
		}
		return true
	}
	return false
}

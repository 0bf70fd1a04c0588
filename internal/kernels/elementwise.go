package kernels

// The functions of this file work element by element on slices of equal length.
// dst may be the same slice as an input, but must not overlap one otherwise.

// Add writes a[i] + b[i] to dst.
func Add(dst, a, b []float32) {
	needSame("Add", len(dst), len(a))
	needSame("Add", len(dst), len(b))
	add(dst, a, b)
}

func add(dst, a, b []float32) {
	if binaryArch(opAdd, dst, a, b) {
		return
	}
	for i, x := range a {
		dst[i] = x + b[i]
	}
}

// Sub writes a[i] - b[i] to dst.
func Sub(dst, a, b []float32) {
	needSame("Sub", len(dst), len(a))
	needSame("Sub", len(dst), len(b))
	if binaryArch(opSub, dst, a, b) {
		return
	}
	for i, x := range a {
		dst[i] = x - b[i]
	}
}

// Mul writes a[i] * b[i] to dst.
func Mul(dst, a, b []float32) {
	needSame("Mul", len(dst), len(a))
	needSame("Mul", len(dst), len(b))
	mul(dst, a, b)
}

func mul(dst, a, b []float32) {
	if binaryArch(opMul, dst, a, b) {
		return
	}
	for i, x := range a {
		dst[i] = x * b[i]
	}
}

// Div writes a[i] / b[i] to dst.
func Div(dst, a, b []float32) {
	needSame("Div", len(dst), len(a))
	needSame("Div", len(dst), len(b))
	if binaryArch(opDiv, dst, a, b) {
		return
	}
	for i, x := range a {
		dst[i] = x / b[i]
	}
}

// AddScalar writes a[i] + s to dst.
func AddScalar(dst, a []float32, s float32) {
	needSame("AddScalar", len(dst), len(a))
	if scalarArch(opAdd, dst, a, s) {
		return
	}
	for i, x := range a {
		dst[i] = x + s
	}
}

// SubScalar writes a[i] - s to dst.
func SubScalar(dst, a []float32, s float32) {
	needSame("SubScalar", len(dst), len(a))
	if scalarArch(opSub, dst, a, s) {
		return
	}
	for i, x := range a {
		dst[i] = x - s
	}
}

// MulScalar writes a[i] * s to dst.
func MulScalar(dst, a []float32, s float32) {
	needSame("MulScalar", len(dst), len(a))
	if scalarArch(opMul, dst, a, s) {
		return
	}
	for i, x := range a {
		dst[i] = x * s
	}
}

// DivScalar writes a[i] / s to dst.
func DivScalar(dst, a []float32, s float32) {
	needSame("DivScalar", len(dst), len(a))
	if scalarArch(opDiv, dst, a, s) {
		return
	}
	for i, x := range a {
		dst[i] = x / s
	}
}

// ScalarSub writes s - a[i] to dst.
func ScalarSub(dst []float32, s float32, a []float32) {
	needSame("ScalarSub", len(dst), len(a))
	if scalarArch(opScalarSub, dst, a, s) {
		return
	}
	for i, x := range a {
		dst[i] = s - x
	}
}

// ScalarDiv writes s / a[i] to dst.
func ScalarDiv(dst []float32, s float32, a []float32) {
	needSame("ScalarDiv", len(dst), len(a))
	if scalarArch(opScalarDiv, dst, a, s) {
		return
	}
	for i, x := range a {
		dst[i] = s / x
	}
}

type arithmetic uint8

const (
	opAdd arithmetic = iota
	opSub
	opMul
	opDiv
	opScalarSub // of scalars only
	opScalarDiv
)

package kernels

import "github.com/genie-sdk/go/internal/halt"

// RotateHalves rotates pairs of a row, (a, b) = (src[i], src[i+n]) for n cosines
// and sines, to a*cos-b*sin and b*cos+a*sin. Elements from 2n on are copied.
// dst may be src. A row that h stops is undefined.
func RotateHalves(dst, src, cos, sin []float32, h halt.Func) {
	n := needAngles("RotateHalves", dst, src, cos, sin)
	rowParts(n, h, func(i, j int) {
		rotateHalves(dst[i:j], dst[n+i:n+j], src[i:j], src[n+i:n+j], cos[i:j], sin[i:j])
	})
	copyRest(dst, src, 2*n, h)
}

func rotateHalves(ya, yb, a, b, cos, sin []float32) {
	if rotateHalvesArch(ya, yb, a, b, cos, sin) {
		return
	}
	for i, c := range cos {
		ya[i], yb[i] = rotated(a[i], b[i], c, sin[i])
	}
}

// RotatePairs is [RotateHalves] for the pairs (src[2i], src[2i+1]).
func RotatePairs(dst, src, cos, sin []float32, h halt.Func) {
	n := needAngles("RotatePairs", dst, src, cos, sin)
	rowParts(n, h, func(i, j int) { rotatePairs(dst[2*i:2*j], src[2*i:2*j], cos[i:j], sin[i:j]) })
	copyRest(dst, src, 2*n, h)
}

func rotatePairs(dst, src, cos, sin []float32) {
	for i := rotatePairsArch(dst, src, cos, sin) / 2; i < len(cos); i++ {
		dst[2*i], dst[2*i+1] = rotated(src[2*i], src[2*i+1], cos[i], sin[i])
	}
}

func needAngles(name string, dst, src, cos, sin []float32) int {
	needSame(name, len(dst), len(src))
	needSame(name, len(cos), len(sin))
	needRange(name, 0, 2*len(cos), len(src))
	return len(cos)
}

func copyRest(dst, src []float32, from int, h halt.Func) {
	if from < len(src) && &dst[0] != &src[0] {
		rowParts(len(src)-from, h, func(i, j int) { copy(dst[from+i:from+j], src[from+i:]) })
	}
}

// rotated is a pair turned by an angle. The conversions keep compilers from
// fusing products with additions.
func rotated(a, b, cos, sin float32) (x, y float32) {
	return float32(a*cos) - float32(b*sin), float32(b*cos) + float32(a*sin)
}

package kernels

// The float32 conversions around products keep compilers from fusing them with
// the addition, which the language allows and arm64 does: a product is rounded
// here, always.

func gemmPackedGeneric(c []float32, ldc int, a []float32, lda int, packed []float32, m, n, k, p0, p1 int) {
	for p := p0; p < p1; p++ {
		j := p * PanelWidth
		panel := packed[p*k*PanelWidth : (p+1)*k*PanelWidth]
		for i := range m {
			row := c[i*ldc+j : i*ldc+min(j+PanelWidth, n)]
			clear(row)
			gemmRowGeneric(row, a[i*lda:][:k], panel, PanelWidth)
		}
	}
}

func gemmNNGeneric(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n0, n1, k int) {
	for j := n0; j < n1; j += PanelWidth {
		for i := range m {
			row := c[i*ldc+j : i*ldc+min(j+PanelWidth, n1)]
			clear(row)
			gemmRowGeneric(row, a[i*lda:][:k], b[j:], ldb)
		}
	}
}

// gemmRowGeneric adds to columns of one row; b starts at the first column and its
// rows are ldb apart.
func gemmRowGeneric(c, a, b []float32, ldb int) {
	for ; len(c) >= 8; c = c[8:] {
		s0, s1, s2, s3, s4, s5, s6, s7 := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
		at := 0
		for _, x := range a {
			r := (*[8]float32)(b[at:])
			s0 += float32(x * r[0])
			s1 += float32(x * r[1])
			s2 += float32(x * r[2])
			s3 += float32(x * r[3])
			s4 += float32(x * r[4])
			s5 += float32(x * r[5])
			s6 += float32(x * r[6])
			s7 += float32(x * r[7])
			at += ldb
		}
		*(*[8]float32)(c) = [8]float32{s0, s1, s2, s3, s4, s5, s6, s7}
		if len(c) > 8 {
			b = b[8:]
		}
	}
	for j := range c {
		s := c[j]
		for l, x := range a {
			s += float32(x * b[l*ldb+j])
		}
		c[j] = s
	}
}

func gemmNTGeneric(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n0, n1, k int) {
	for i := range m {
		for j := n0; j < n1; j++ {
			c[i*ldc+j] = dotGeneric(a[i*lda:][:k], b[j*ldb:][:k])
		}
	}
}

const lanes = 16

func dotGeneric(a, b []float32) float32 {
	var s [lanes]float32
	for ; len(a) >= lanes; a, b = a[lanes:], b[lanes:] {
		x, y := (*[lanes]float32)(a), (*[lanes]float32)(b)
		for l := range s {
			s[l] += float32(x[l] * y[l])
		}
	}
	for l, x := range a {
		s[l] += float32(x * b[l])
	}
	return addLanes(&s)
}

// addLanes is the fixed tree: l and l+8, l and l+4, l and l+2, l and l+1.
func addLanes(s *[lanes]float32) float32 {
	for half := lanes / 2; half > 0; half /= 2 {
		for l := range half {
			s[l] += s[l+half]
		}
	}
	return s[0]
}

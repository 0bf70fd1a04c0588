package kernels

// The float32 conversions around products keep compilers from fusing them with
// the addition, which the language allows and arm64 does: a product is always
// rounded here.

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

func gemmNNGeneric(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n0, n1, k int, accumulate bool) {
	for j := n0; j < n1; j += PanelWidth {
		for i := range m {
			row := c[i*ldc+j : i*ldc+min(j+PanelWidth, n1)]
			if !accumulate {
				clear(row)
			}
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
		row := a[i*lda:][:k]
		j := n0
		for ; j+4 <= n1; j += 4 {
			dotsGeneric((*[4]float32)(c[i*ldc+j:]), row, b[j*ldb:][:k], b[(j+1)*ldb:][:k], b[(j+2)*ldb:][:k], b[(j+3)*ldb:][:k])
		}
		for ; j < n1; j++ {
			var s float32
			for l, y := range b[j*ldb:][:k] {
				s += float32(row[l] * y)
			}
			c[i*ldc+j] = s
		}
	}
}

func dotsGeneric(c *[4]float32, a, b0, b1, b2, b3 []float32) {
	var s0, s1, s2, s3 float32
	b0, b1, b2, b3 = b0[:len(a)], b1[:len(a)], b2[:len(a)], b3[:len(a)]
	for l, x := range a {
		s0 += float32(x * b0[l])
		s1 += float32(x * b1[l])
		s2 += float32(x * b2[l])
		s3 += float32(x * b3[l])
	}
	*c = [4]float32{s0, s1, s2, s3}
}

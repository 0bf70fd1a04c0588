package kernels

// winogradInput writes B^T d B of a 6 x 6 block of pixels, with the given
// distances of rows and pixels, to v, with stride elements per position;
// channels are whole vectors of [winogradLanes].
func winogradInput(v []float32, stride int, x []float32, row, pixel, channels int) {
	if winogradInputArch(v, stride, x, row, pixel, channels) {
		return
	}
	const n = winogradInputSize
	for ch := range channels {
		var d [n][n]float32
		for j := range n {
			for i, t := range winogradInputLine(x[j*pixel+ch:], row) {
				d[i][j] = t
			}
		}
		for i := range n {
			for j, t := range winogradInputLine(d[i][:], 1) {
				v[(i*n+j)*stride+ch] = t
			}
		}
	}
}

// winogradInputLine is B^T d. As everywhere, products are rounded.
func winogradInputLine(d []float32, stride int) [winogradInputSize]float32 {
	const a2, b2 = winogradA * winogradA, winogradB * winogradB
	d0, d1, d2, d3, d4, d5 := d[0], d[stride], d[2*stride], d[3*stride], d[4*stride], d[5*stride]
	even, odd := d4-float32(b2*d2), float32(winogradA*(d3-float32(b2*d1)))
	even2, odd2 := d4-float32(a2*d2), float32(winogradB*(d3-float32(a2*d1)))
	return [winogradInputSize]float32{
		d4 - float32((a2+b2)*d2) + float32(a2*b2*d0),
		even + odd, even - odd, even2 + odd2, even2 - odd2,
		d5 - float32((a2+b2)*d3) + float32(a2*b2*d1),
	}
}

// winogradOutputGeneric writes A^T m A of 16 channels to dst [4, 4, 16].
func winogradOutputGeneric(dst, m []float32, stride int) {
	const n, out = winogradInputSize, winogradSize
	for ch := range PanelWidth {
		var y [out][n]float32
		for j := range n {
			for i, t := range winogradOutputLine(m[j*stride+ch:], n*stride) {
				y[i][j] = t
			}
		}
		for i := range out {
			for j, t := range winogradOutputLine(y[i][:], 1) {
				dst[(i*out+j)*PanelWidth+ch] = t
			}
		}
	}
}

// winogradOutputLine is A^T m.
func winogradOutputLine(m []float32, stride int) [winogradSize]float32 {
	const a2, b2 = winogradA * winogradA, winogradB * winogradB
	m1, m2, m3, m4 := m[stride], m[2*stride], m[3*stride], m[4*stride]
	s1, d1, s2, d2 := m1+m2, m1-m2, m3+m4, m3-m4
	return [winogradSize]float32{
		m[0] + s1 + s2,
		float32(winogradA*d1) + float32(winogradB*d2),
		float32(a2*s1) + float32(b2*s2),
		m[5*stride] + float32(a2*winogradA*d1) + float32(b2*winogradB*d2),
	}
}

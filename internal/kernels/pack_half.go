package kernels

// PackRows16 is [PackRows] for elements of 16 bits, of any type: rows k0 to k1 of
// a [k, n] matrix, contiguous in b, take their places in a packed dst.
func PackRows16(dst, b []uint16, k0, k1, k, n int) {
	needPacked("PackRows16", len(dst), k, n)
	needRange("PackRows16", k0, k1, k)
	needMatrix("PackRows16", "b", len(b), k1-k0, n, n)
	for j := 0; j < n; j += PanelWidth {
		w := min(PanelWidth, n-j)
		panel := dst[j*k+k0*PanelWidth:]
		for i := range k1 - k0 {
			row, src := (*[PanelWidth]uint16)(panel[i*PanelWidth:]), b[i*n+j:]
			if w == PanelWidth {
				*row = *(*[PanelWidth]uint16)(src)
			} else {
				clear(row[copy(row[:], src[:w]):])
			}
		}
	}
}

// PackColumns16 is [PackColumns] for elements of 16 bits, of any type: columns n0
// to n1 of a [k, n] matrix, one after another in b, take their places in a packed
// dst. Multiples of 8 columns at a time, from a multiple of 8 on, are fastest.
func PackColumns16(dst, b []uint16, n0, n1, k, n int) {
	needPacked("PackColumns16", len(dst), k, n)
	needRange("PackColumns16", n0, n1, n)
	needMatrix("PackColumns16", "b", len(b), n1-n0, k, k)
	if k == 0 {
		return
	}
	for j := n0; j < n1; {
		panel, from, lane := dst[j/PanelWidth*PanelWidth*k:][:PanelWidth*k], b[(j-n0)*k:], j%PanelWidth
		if lane%8 == 0 && n1-j >= 8 {
			packEight16(panel[lane:], from, k)
			j += 8
			continue
		}
		for l, x := range from[:k] {
			panel[l*PanelWidth+lane] = x
		}
		j++
	}
	if w := n % PanelWidth; n0 < n1 && n1 == n && w > 0 {
		last := dst[n/PanelWidth*PanelWidth*k:]
		for l := range k {
			clear(last[l*PanelWidth+w : (l+1)*PanelWidth])
		}
	}
}

// packEight16 writes 8 columns of a panel.
func packEight16(panel, b []uint16, k int) {
	b0, b1, b2, b3 := b[:k], b[k:][:k], b[2*k:][:k], b[3*k:][:k]
	b4, b5, b6, b7 := b[4*k:][:k], b[5*k:][:k], b[6*k:][:k], b[7*k:][:k]
	for l := range b0 {
		*(*[8]uint16)(panel[l*PanelWidth:]) = [8]uint16{b0[l], b1[l], b2[l], b3[l], b4[l], b5[l], b6[l], b7[l]}
	}
}

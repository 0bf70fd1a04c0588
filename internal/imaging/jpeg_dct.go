package imaging

// The inverse transform of Loeffler, Ligtenberg and Moschytz (Practical Fast
// 1-D DCT Algorithms with 11 Multiplications, ICASSP 1989), whose output is
// scaled by the root of 8, in the fixed-point steps of libjpeg's accurate
// integer method: constants have 13 binary places, values between the two
// passes have 2.
const (
	dctBits  = 13
	passBits = 2
)

// Constants of the rotations, times 2^13.
const (
	dct0298 = 2446
	dct0390 = 3196
	dct0541 = 4433
	dct0765 = 6270
	dct0899 = 7373
	dct1175 = 9633
	dct1501 = 12299
	dct1847 = 15137
	dct1961 = 16069
	dct2053 = 16819
	dct2562 = 20995
	dct3072 = 25172
)

// inverseDCT writes the 8 x 8 values of a block.
func inverseDCT(block []int16, quant *[64]uint16, out []uint8, stride int) {
	var work [64]int
	for x := range 8 {
		var in [8]int
		for i := range in {
			in[i] = int(block[8*i+x]) * int(quant[8*i+x])
		}
		for i, v := range inverseDCT8(in) {
			work[8*i+x] = descale(v, dctBits-passBits)
		}
	}
	for y := range 8 {
		row := out[y*stride : y*stride+8]
		for i, v := range inverseDCT8([8]int(work[8*y:])) {
			row[i] = clip8(descale(v, dctBits+passBits+3) + 128)
		}
	}
}

// descale shifts out bits with rounding.
func descale(v, bits int) int { return (v + 1<<(bits-1)) >> bits }

// inverseDCT8 transforms a row or a column; the result has dctBits more.
func inverseDCT8(in [8]int) [8]int {
	// Even coefficients.
	z := (in[2] + in[6]) * dct0541
	a2, a3 := z-in[6]*dct1847, z+in[2]*dct0765
	a0, a1 := (in[0]+in[4])<<dctBits, (in[0]-in[4])<<dctBits
	e0, e1, e2, e3 := a0+a3, a1+a2, a1-a2, a0-a3

	// Odd ones.
	z1, z2, z3, z4 := in[7]+in[1], in[5]+in[3], in[7]+in[3], in[5]+in[1]
	z5 := (z3 + z4) * dct1175
	z1, z2, z3, z4 = -z1*dct0899, -z2*dct2562, z5-z3*dct1961, z5-z4*dct0390
	o3 := in[7]*dct0298 + z1 + z3
	o2 := in[5]*dct2053 + z2 + z4
	o1 := in[3]*dct3072 + z2 + z3
	o0 := in[1]*dct1501 + z1 + z4

	return [8]int{e0 + o0, e1 + o1, e2 + o2, e3 + o3, e3 - o3, e2 - o2, e1 - o1, e0 - o0}
}

package workloads

// Pixels are constant images, f32 [images, 3, size, size]: waves of triangles,
// brightness and noise, different in each channel, of the magnitude of
// normalised photographs. All are sums of a few binary fractions, so they have
// the same bits in every implementation; see
// testdata/scripts/make_workload_references.py.
func Pixels(images, size int) []float32 {
	out := make([]float32, 0, images*3*size*size)
	for k := range 3 * images {
		bright := float32(37*k*k%17-8) / 4
		for y := range size {
			for x := range size {
				wave := (x*(1+k%5)+y*(1+3*k%7)+31*k)%256 - 128
				at := (k*size+y)*size + x
				noise := (at*1103515245+12345)/65536%256 - 128
				out = append(out, float32(max(wave, -wave)-64)/64+bright+float32(noise)/512)
			}
		}
	}
	return out
}

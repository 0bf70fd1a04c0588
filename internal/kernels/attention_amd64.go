//go:build amd64 && !purego

package kernels

func turnPanelArch(panel, k []float32, ldk, rows, dim int) bool {
	if active == pathGeneric {
		return false
	}
	for j := 0; j < rows; j += 8 {
		from := newMatrix(k, ldk).from(j, 0)
		transposeAVX2(&panel[j], panelBytes, from.at, from.ld, min(8, rows-j), dim)
	}
	return true
}

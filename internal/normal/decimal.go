package normal

import "strconv"

// decimal is the shortest decimal number that is x in float32: programs hold
// 1e-5 as the nearest float32, and an operator's attribute is 1e-5.
func decimal(x float64) float64 {
	v, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', -1, 32), 64)
	if err != nil {
		return x
	}
	return v
}

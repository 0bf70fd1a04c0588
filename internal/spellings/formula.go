package spellings

import "math"

// formula is the value of an arithmetic expression over named numbers.
func formula(n node, names map[string]float64) (float64, error) {
	switch n.kind {
	case number:
		return n.num, nil
	case name:
		if v, ok := names[n.name]; ok {
			return v, nil
		}
		return 0, n.at.errorf("%s is not a number here", n.name)
	case infix, call:
		if len(n.attrs) > 0 {
			return 0, n.at.errorf("%s has attributes in a formula", n.name)
		}
		in := make([]float64, len(n.args))
		for i, a := range n.args {
			var err error
			if in[i], err = formula(a, names); err != nil {
				return 0, err
			}
		}
		f, ok := functions[function{n.name, len(in)}]
		if !ok {
			return 0, n.at.errorf("%s of %d numbers is not a formula", n.name, len(in))
		}
		return f(in), nil
	default:
		return 0, n.at.errorf("a list or a string is not a number")
	}
}

type function struct {
	name  string
	arity int
}

// functions are what formulas may use; conditions are 0 or 1.
var functions = map[function]func(x []float64) float64{
	{"+", 2}:     func(x []float64) float64 { return x[0] + x[1] },
	{"-", 2}:     func(x []float64) float64 { return x[0] - x[1] },
	{"-", 1}:     func(x []float64) float64 { return -x[0] },
	{"*", 2}:     func(x []float64) float64 { return x[0] * x[1] },
	{"/", 2}:     func(x []float64) float64 { return x[0] / x[1] },
	{"%", 2}:     func(x []float64) float64 { return x[0] - x[1]*math.Floor(x[0]/x[1]) },
	{"^", 2}:     func(x []float64) float64 { return math.Pow(x[0], x[1]) },
	{"<", 2}:     func(x []float64) float64 { return truth(x[0] < x[1]) },
	{"<=", 2}:    func(x []float64) float64 { return truth(x[0] <= x[1]) },
	{">", 2}:     func(x []float64) float64 { return truth(x[0] > x[1]) },
	{">=", 2}:    func(x []float64) float64 { return truth(x[0] >= x[1]) },
	{"==", 2}:    func(x []float64) float64 { return truth(x[0] == x[1]) },
	{"sqrt", 1}:  func(x []float64) float64 { return math.Sqrt(x[0]) },
	{"exp", 1}:   func(x []float64) float64 { return math.Exp(x[0]) },
	{"log", 1}:   func(x []float64) float64 { return math.Log(x[0]) },
	{"sin", 1}:   func(x []float64) float64 { return math.Sin(x[0]) },
	{"cos", 1}:   func(x []float64) float64 { return math.Cos(x[0]) },
	{"floor", 1}: func(x []float64) float64 { return math.Floor(x[0]) },
	{"min", 2}:   func(x []float64) float64 { return min(x[0], x[1]) },
	{"max", 2}:   func(x []float64) float64 { return max(x[0], x[1]) },
	{"if", 3}: func(x []float64) float64 {
		if x[0] != 0 {
			return x[1]
		}
		return x[2]
	},
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// table is a formula at every position of a shape, row-major; i0, i1, ... are
// the indices.
func table(n node, shape []int, names map[string]float64) ([]float64, error) {
	size := 1
	for _, d := range shape {
		size *= d
	}
	if size > maxTable {
		return nil, n.at.errorf("a table of %v has more than %d elements", shape, maxTable)
	}
	at := make(map[string]float64, len(names)+len(shape))
	for k, v := range names {
		at[k] = v
	}
	out := make([]float64, size)
	for i := range out {
		rest := i
		for axis := len(shape) - 1; axis >= 0; axis-- {
			at["i"+string(rune('0'+axis))] = float64(rest % shape[axis])
			rest /= shape[axis]
		}
		var err error
		if out[i], err = formula(n, at); err != nil {
			return nil, err
		}
	}
	return out, nil
}

const maxTable = 1 << 22

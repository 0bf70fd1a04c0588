package main

import (
	"math"
	"slices"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// activation is the complete description of an elementwise kernel of one input.
// The assembly, the portable Go, the table by operator and the table of its
// test are generated from it.
type activation struct {
	name     string // nameAVX2 and nameAVX512 in assembly
	function string // exported by package kernels
	operator string // the operator it computes; none if attributes select the kernel
	doc      string // what it computes
	special  string // what its doc comment says about NaN, infinities and zeros
	exact    string // body of a Go function of x in float64: the portable kernel
	bound    bound
	group    int // maximum number of vectors at once
	// large says that the assembly leaves finite numbers that are too large as they
	// are; results are at most one in size.
	large bool
	apply func(t round, src reg.GPVirtual) vectors
}

// bound is the allowed error of a kernel: units in the last place or, below an
// input where results are near zero, an absolute difference.
type bound struct {
	ulps        float64
	below, tail float64 // no tail: none
}

const geluSpecial = "NaN and -Inf give NaN, as in PyTorch, Inf gives Inf, -0 gives -0."

// activations are all of them: one entry each.
var activations = slices.Concat(common, simple, elementary)

// common are the activations of models, with the code they use below.
var common = []activation{
	{
		name: "exp", function: "Exp", operator: "exp", doc: "e^x",
		special: "Subnormal results count, too. Results that overflow are Inf, those that underflow 0; Exp(NaN) is NaN, Exp(0) is 1.",
		exact:   "return math.Exp(x)",
		bound:   bound{ulps: 1}, group: 4, apply: expAll,
	},
	{
		name: "geluTanh", function: "GeluTanh", doc: "the tanh form of GELU, 0.5*x*(1 + tanh(u)) with u = sqrt(2/pi)*(x + 0.044715*x^3), computed as x/(1+exp(-2u)), the same function without the cancellation at negative x (Hendrycks and Gimpel, arXiv:1606.08415),",
		special: geluSpecial,
		exact:   "u := math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x)\nreturn x / (1 + math.Exp(-2*u))",
		bound:   bound{3, -1, 1e-7}, group: 4, apply: geluTanh,
	},
	{
		name: "quickGelu", function: "QuickGelu", operator: "quick_gelu", doc: "x*sigmoid(1.702*x) (Hendrycks and Gimpel, arXiv:1606.08415, section 2)",
		special: geluSpecial,
		exact:   "return x / (1 + math.Exp(-1.702*x))",
		bound:   bound{4, -1, 1e-7}, group: 4, apply: quickGelu,
	},
	{
		name: "silu", function: "Silu", operator: "silu", doc: "x*sigmoid(x) (Hendrycks and Gimpel, arXiv:1606.08415)",
		special: geluSpecial,
		exact:   "return x / (1 + math.Exp(-x))",
		bound:   bound{3, -87, 1e-36}, group: 4, apply: silu,
	},
	{
		name: "geluErf", function: "GeluErf", doc: "the exact GELU, 0.5*x*(1 + erf(x/sqrt(2))),",
		special: geluSpecial,
		exact:   "return 0.5 * x * math.Erfc(-x/math.Sqrt2)",
		bound:   bound{8, -1, 1e-7}, group: 3, apply: geluErf,
	},
	{
		name: "tanh", function: "Tanh", operator: "tanh", doc: "the hyperbolic tangent",
		special: "Tanh(NaN) is NaN, of infinities it is 1 and -1, Tanh(-0) is -0.",
		exact:   "return math.Tanh(x)",
		bound:   bound{ulps: 2}, group: 3, apply: tanh,
	},
	{
		name: "relu", function: "Relu", operator: "relu", doc: "x where x > 0 or x is NaN, else 0,",
		special: "-0 stays -0.",
		exact:   "if x < 0 {\nreturn 0\n}\nreturn x",
		group:   4, apply: relu,
	},
}

func activationKernels(g *gen) {
	for _, f := range activations {
		if f.apply == nil {
			continue
		}
		g.bothWidths(func(s simd) { activationKernel(s, f) })
	}
	// Adding 1.5*2^16 to a float64 and taking it away again rounds it to a
	// multiple of 2^-36.
	terms := g.constant64(1.5 * (1 << 16))
	g.bothWidths(func(s simd) { softmaxKernel(s, terms) })
}

func activationKernel(s simd, f activation) {
	name := s.name(f.name)
	signature, doc, found := "func(dst, src *float32, n int)", "", reg.GPVirtual(nil)
	if f.large {
		signature, doc = signature+" uint32", " It is not zero if it left an element."
	}
	s.function(name, signature, name+" is "+f.function+" of n elements."+doc)
	dst, src := s.pointer("dst"), s.pointer("src")
	if f.large {
		found = s.GP32()
		s.XORL(found, found)
	}
	s.eachGroup(f.group, func(t round) {
		t.found = found
		t.storeAll(f.apply(t, src), dst)
	})
	if f.large {
		s.Store(found, s.ReturnIndex(0))
	}
	s.done()
}

// geluTanh is x/(1+exp(-2u)), u = sqrt(2/pi)*(x + 0.044715*x^3).
func geluTanh(t round, src reg.GPVirtual) vectors {
	c := 2 * math.Sqrt(2/math.Pi)
	x := t.loadAll(src)
	u := t.vectors(t.size)
	for i := range x {
		t.VMULPS(x[i], x[i], u[i])
	}
	t.multiply(u, float32(-0.044715*c))
	t.add(u, float32(-c))
	for i := range x {
		t.VMULPS(x[i], u[i], u[i])
	}
	t.clamp(u, -87, 89)
	e := t.expBounded(u)
	t.add(e, 1)
	x = t.loadAll(src)
	for i := range x {
		t.VDIVPS(e[i], x[i], x[i])
	}
	return x
}

// quickGelu is x/(1+exp(-1.702*x)).
func quickGelu(t round, src reg.GPVirtual) vectors {
	u := t.loadAll(src)
	t.multiply(u, -1.702)
	t.clamp(u, -87, 89)
	e := t.expBounded(u)
	t.add(e, 1)
	x := t.loadAll(src)
	for i := range x {
		t.VDIVPS(e[i], x[i], x[i])
	}
	return x
}

// silu is x/(1+exp(-x)). Its relative error is small while exp(-x) is finite,
// since -x is exact.
func silu(t round, src reg.GPVirtual) vectors {
	u := t.loadAll(src)
	t.multiply(u, -1)
	t.clamp(u, -87, 89)
	e := t.expBounded(u)
	t.add(e, 1)
	x := t.loadAll(src)
	for i := range x {
		t.VDIVPS(e[i], x[i], x[i])
	}
	return x
}

// geluErf is x*h for x < 0 and x*(1-h) else, with h = erfc(|x|/sqrt(2))/2. The
// erfc is the Chebyshev fit of Numerical Recipes (2nd edition, 6.2, erfcc), whose
// relative error is below 1.2e-7 everywhere.
func geluErf(t round, src reg.GPVirtual) vectors {
	z := t.loadAll(src)
	t.and(z, 0x7fffffff)
	t.multiply(z, math.Sqrt2/2)
	r, half, one := t.copies(t.size, 1), t.all(0.5), t.all(1)
	for i := range z {
		t.VFMADD231PS(half, z[i], r[i])
	}
	for i := range z {
		t.VDIVPS(r[i], one, r[i])
	}
	p := t.polynomial(r, 0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223)
	for i := range z {
		t.VFNMADD231PS(z[i], z[i], p[i])
	}
	h := t.expOrZero(p)
	for i := range h {
		t.VMULPS(r[i], h[i], h[i])
	}
	t.multiply(h, 0.5)
	x := t.loadAll(src)
	for i := range h {
		upper := t.all(1)
		t.VSUBPS(h[i], upper, upper)
		if t.lanes == 16 {
			negative := t.K()
			t.VPMOVD2M(x[i], negative)
			t.VMOVAPS(h[i], negative, upper)
		} else {
			t.VBLENDVPS(x[i], h[i], upper, upper)
		}
		t.VMULPS(upper, x[i], x[i])
	}
	return x
}

// tanh is that of Cephes tanhf (Moshier): a polynomial where |x| < 0.625, so
// that small x keep their relative accuracy, and 1 - 2/(exp(2|x|)+1) beyond.
func tanh(t round, src reg.GPVirtual) vectors {
	double := t.loadAll(src)
	t.and(double, 0x7fffffff)
	for i := range double {
		t.VADDPS(double[i], double[i], double[i])
	}
	t.clamp(double, -math.MaxFloat32, 40)
	e := t.expBounded(double)
	t.add(e, 1)
	two := t.all(2)
	for i := range e {
		t.VDIVPS(e[i], two, e[i])
	}
	large := t.copies(t.size, 1)
	for i := range e {
		t.VSUBPS(e[i], large[i], large[i])
	}
	x := t.loadAll(src)
	square := t.vectors(t.size)
	for i := range x {
		t.VMULPS(x[i], x[i], square[i])
	}
	p := t.polynomial(square, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	for i := range x {
		t.VMULPS(x[i], square[i], square[i])
	}
	for i := range x {
		t.VFMADD213PS(x[i], square[i], p[i])
	}
	limit, positive, sign := t.all(0.625), t.allBits(0x7fffffff), t.allBits(0x80000000)
	for i := range x {
		size := t.vec()
		t.VANDPS(positive, x[i], size)
		const less = 1
		if t.lanes == 16 {
			small := t.K()
			t.VCMPPS(U8(less), limit, size, small)
			t.VMOVAPS(p[i], small, large[i])
		} else {
			t.VCMPPS(U8(less), limit, size, size)
			t.VBLENDVPS(size, p[i], large[i], large[i])
		}
		t.VANDPS(sign, x[i], x[i])
		t.VORPS(x[i], large[i], large[i]) // and so tanh(-0) is -0
	}
	return large
}

func relu(t round, src reg.GPVirtual) vectors {
	x := t.loadAll(src)
	zero := t.zero()
	for i := range x {
		t.VMAXPS(x[i], zero, x[i]) // the second operand, x, where it is NaN or -0
	}
	return x
}

// Package normal rewrites a captured program into its normal form: the same
// values, computed by the operators that the rest of the module recognises,
// fuses and prices, however the program was spelled.
//
// [Of] walks the captured tensors once, in order, and builds every value by a
// smart constructor (builder.make): it infers the type and shape, folds
// constants, tries the rules whose root is the operator (see rules.go, the one
// list), and finds equal values by hash. Its result is in normal form, and the
// inputs of a rule's candidate are, so a rule looks at inputs only and never
// twice at one value. What a rule builds, it builds by make.
//
// # Writing a rule
//
// One rule a file; the file's name says what it matches, and its test has the
// traps beside the hits. A rule gets a candidate n, which is not stored yet, and
// returns the value that replaces it, with n's type and shape (apply checks
// both). It lowers a measure, which its comment names, so that rewriting ends;
// fuel bounds what a wrong rule can do. It does not absorb a value that somebody
// reads by name, an output or a carried value (builder.wanted), if that means
// that the value's work is done twice. It says why it nearly matched
// (builder.refuse).
//
// Values are the same in exact arithmetic, and within 1e-5 in float32. A run
// that the captured program refuses at its sizes, such as a slice beyond its
// axis, is refused by the normal form too: a rule drops a condition only if it
// always holds.
//
// # The forms that rules may rely on
//
// Views and copies:
//
//   - No identity, no cast to its own type, no reshape, transpose, slice or
//     expand that changes nothing, no concat of one value. No cast of a cast that
//     lost nothing.
//   - No transpose of a transpose, reshape of a reshape, expand of an expand. A
//     slice of a slice along the same axis, of a concat along the same axis, and
//     a concat of adjacent slices are one, if the bounds are known to fit at all
//     sizes; else they stay.
//   - A transpose of a product's operand has the operand's last two axes in
//     order: matmul(q, transpose{0,1,3,2}(k)) is matmul{trans_b}(q, k), and
//     matmul(q, transpose{0,2,3,1}(k)) is matmul{trans_b}(q, transpose{0,2,1,3}(k)).
//   - A pointwise operator reads no expand: broadcasting repeats the operand, or
//     the result is expanded. So does a product for batch axes, and a gather.
//     No reshape that only adds leading axes of one is below an expand or an
//     operator that broadcasts. A weight [1, ..., n] in arithmetic is read as [n].
//
// Constants:
//
//   - Operators whose inputs are all small constants are constants, within the
//     bounds of fold.go.
//   - A constant operand of a commutative operator is the right one.
//   - A scale by a constant is mul(x, c), whether it was written mul, div, neg
//     or a chain of them, with c of shape [1] (or [] for a scalar x):
//     builder.scale makes it and node.scaled takes it apart. A quotient by zero
//     or by a number whose reciprocal is no normal float32 stays div.
//   - A sum with a uniform constant is add(x, c), c as in a scale; x - c is
//     add(x, -c). c - x is sub(c, x), also if it was written c + -x. x - y is
//     sub(x, y), also if it was written x + -y. Nothing else is done to sums.
//
// Powers and quotients, of f32:
//
//   - x*x and pow(x, 2) are mul(x, x), pow(x, 3) is mul(mul(x, x), x); pow(x, 0.5)
//     is sqrt(x), pow(x, -1) and 1/x are reciprocal(x); pow(x, -0.5), 1/sqrt(x),
//     sqrt(1/x) are rsqrt(x).
//   - x / sqrt(y) is mul(x, rsqrt(y)), operands in this order; x * (1/sqrt(y)) is
//     the mul in the order in which it was written. x * (1/y) is div(x, y).
//
// Layers:
//
//   - The sum of a product and a vector [n] along its last axis is
//     bias(matmul, b). The bias of a pointwise operator's result is add.
package normal

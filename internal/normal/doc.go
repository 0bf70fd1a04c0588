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
//   - No identity, no cast to its own type, no reshape, transpose, slice or
//     expand that changes nothing, no concat of one value.
//   - No transpose of a transpose, reshape of a reshape, slice of a slice along
//     the same axis whose bounds are known to fit, expand of an expand.
//   - Operators whose inputs are all small constants are constants, within the
//     bounds of fold.go.
//   - A constant operand of a commutative operator is the right one.
//   - A scale by a constant is mul(x, c), whether it was written mul, div, neg
//     or a chain of them, with c of shape [1] (or [] for a scalar x):
//     builder.scale makes it and node.scaled takes it apart.
//   - A pointwise operator reads no expand that broadcasting does for it.
//   - x*x and pow(x, 2) are mul(x, x); 1/sqrt(x), pow(x, -0.5) are rsqrt(x); x /
//     sqrt(y) is mul(x, rsqrt(y)); pow(x, 0.5) is sqrt(x). Until the operator
//     rsqrt exists in internal/op, div by sqrt stays.
//   - x - c is add(x, -c) for a constant c; x - y stays sub.
//   - A sum of a product with weights and a vector [n] is bias(matmul, b).
//   - The transposes of a product's operands are its flags.
package normal

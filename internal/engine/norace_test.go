//go:build !race

package engine_test

// scaledValues is how many values a plan of [TestCompileIsLinear] has.
const scaledValues = 4000

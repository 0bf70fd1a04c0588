//go:build !race

package engine_test

const raceDetector = false

// scaledValues is the number of values in a plan of [TestCompileIsLinear].
const scaledValues = 4000

//go:build !race

package semantic_test

// scaledTensors is the number of tensors in a program of
// [TestPlanningIsLinear].
const scaledTensors = 2000

//go:build !race

package semantic_test

// scaledTensors is how many tensors a program of [TestPlanningIsLinear] has.
const scaledTensors = 2000

// Package cudatest tests and measures models on a CUDA device: what other
// implementations computed for small checkpoints, bits that must not depend on
// how a row came to be computed, and the speed of decoding and prefill.
//
// In the default build the device is that of an emulator, which executes the
// kernels on the CPU. A test binary that is built with the tag genie_cuda uses a
// GPU. GENIE_CUDA_DEVICE names another one, see [EnvDevice].
package cudatest

// Environment variables of the tests and benchmarks.
const (
	// EnvDevice is the device: emulator, cpu (which tests the tests) or, with
	// the tag genie_cuda, cuda:N. The default is emulator, or cuda:0.
	EnvDevice = "GENIE_CUDA_DEVICE"
	// EnvWorker is the URL of a worker for benchmarks. Without it they start
	// one in their own process.
	EnvWorker = "GENIE_CUDA_WORKER"
)

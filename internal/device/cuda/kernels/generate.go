//go:build genie_cuda

package kernels

//go:generate go run -tags genie_cuda ./compile -dir .

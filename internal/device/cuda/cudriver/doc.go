// Package cudriver implements package driver on gorgonia.org/cu, with the build
// tag genie_cuda. It needs cgo, the headers of CUDA 12 and libcuda.
package cudriver

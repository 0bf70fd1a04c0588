// Package kernels launches the CUDA kernels of the device. Each kernel is
// written in CUDA C++ in a .cu file of this folder and compiled ahead: to PTX
// for compute capability 8.0, which a driver compiles for any later device, and
// to machine code for 9.0. The files are embedded.
//
// Each kernel takes one parameter, a struct of a size that is a multiple of 8,
// which a struct of Go mirrors field by field. A method of [Set] checks its
// operands, chooses grid and block, and launches. Launches are asynchronous.
//
// Which instructions compute an element, and the order of each reduction,
// depend on the reduction's length and the element types alone: never on the
// number of rows, the batch, or how a prefix was computed. So a row has the same
// bits alone or batched, in prefill or a decode step. No kernel adds floats
// atomically. Code is compiled without contraction (-fmad=false): where an FMA
// is wanted, the source says fmaf.
package kernels

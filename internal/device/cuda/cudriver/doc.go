// Package cudriver implements package driver on gorgonia.org/cu, with the build
// tag genie_cuda. It needs cgo, the headers of CUDA 12 and libcuda, or the stub
// that toolchain.sh makes.
//
// Devices, contexts, memory, streams and events are made through gorgonia.org/cu.
// What it lacks (page-locked memory, dynamic shared memory above 48 KiB, the log of
// the compiler of PTX), and what is called for each kernel, is in calls.c: a call
// of it allocates nothing, and makes the context current by itself. A program that
// links this package starts where there is no GPU, though gorgonia.org/cu alone
// would end it: see init.c.
package cudriver

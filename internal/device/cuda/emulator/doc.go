// Package emulator is a CUDA driver for tests. It executes PTX on the CPU, warp
// by warp, and checks what a GPU does not: reads of unwritten memory, accesses
// outside an allocation or misaligned, races between threads without a barrier
// between them, and limits of launches.
package emulator

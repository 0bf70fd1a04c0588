// Package emulator is a CUDA driver for tests. It executes PTX on the CPU, warp
// by warp, and checks what a GPU does not. Each fault is a sticky
// [driver.Error] whose Detail names the kernel, the line of the PTX, the block,
// the thread, and the memory:
//
//   - reads of memory or registers that were never written, byte by byte;
//   - accesses outside of an allocation, after it was freed, or misaligned;
//   - races: two accesses to a byte of shared or global memory of which one
//     writes, where neither a barrier (between the threads of a block), nor
//     bar.warp.sync (in a warp), nor a fence and an atomic operation (between
//     blocks), nor an event or a wait of the process (between streams) orders
//     them. A write of the value that is there is no race with a write;
//   - barriers and shuffles that some of their threads never reach, and reads of
//     what cp.async copies before a wait for it;
//   - launches beyond the limits of compute capability 8.0, or with parameters
//     of another size;
//   - host memory that changes before its copy. Streams work as late as they may,
//     so what is read too early is undefined every time.
//
// The option [Bounds] leaves out the checks that need a record of each access.
//
// Threads that part at a branch meet where all ways from it meet. Approximate
// instructions, such as ex2.approx, give the nearest result, and a tensor core's
// sums are rounded one by one in ascending k: a GPU may differ in the last bits
// of both. Fences are checked by block, not by thread.
package emulator

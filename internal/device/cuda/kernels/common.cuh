// What all kernels share.

#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

// global_thread is the index of this thread among all of a one-dimensional
// grid, and all_threads their number.
__device__ inline i64 global_thread() {
  return (i64)blockIdx.x * blockDim.x + threadIdx.x;
}
__device__ inline i64 all_threads() { return (i64)gridDim.x * blockDim.x; }

// Reductions by a team: threads of which each reduces some elements, then all
// together by a tree. The size of a team depends on the length of the reduction
// alone. It is the size of the block, or a warp with several teams in a block.

#pragma once

#include "common.cuh"

// max_team is the number of threads of the largest team. Kernels with teams are
// compiled for blocks of so many: the driver's compiler of PTX could otherwise
// give a thread more registers than a block of this size has for each.
constexpr int max_team = 1024;

// Sum and Max combine two values. Max is that of Go's math.Max: NaN wins over all
// but infinity.
struct Sum {
  template <class T>
  static __device__ T of(T a, T b) { return a + b; }
};

struct Max {
  static __device__ float of(float a, float b) {
    const float infinity = __int_as_float(0x7f800000);
    if (a != a) return b == infinity ? b : a;
    if (b != b) return a == infinity ? a : b;
    return fmaxf(a, b);
  }
};

// combine gives all threads of a team the combination of their values. shared has
// one element for each warp, and is for one call. Each thread computes the same tree,
// which is symmetric. none is the value of warps that do not exist.
template <class Op, class T>
__device__ inline T combine(T v, T *shared, T none) {
#pragma unroll
  for (int o = 16; o > 0; o >>= 1) v = Op::of(v, __shfl_xor_sync(0xffffffff, v, o));
  if (blockDim.x == 32) return v;
  u32 lane = threadIdx.x & 31;
  if (lane == 0) shared[threadIdx.x >> 5] = v;
  __syncthreads();
  v = lane < blockDim.x >> 5 ? shared[lane] : none;
#pragma unroll
  for (int o = 16; o > 0; o >>= 1) v = Op::of(v, __shfl_xor_sync(0xffffffff, v, o));
  return v;
}

// team_index is the index of this thread's team in the grid.
__device__ inline i64 team_index() { return (i64)blockIdx.x * blockDim.y + threadIdx.y; }

// Row is one row of a matrix of any strides.
struct Row {
  const float *at;
  i64 stride, n;
  bool vectors;  // no gaps, aligned to 4 elements, of which n is a multiple
};

// load4 loads elements i to i+3; those past the end are none.
__device__ inline void load4(float (&v)[4], const Row &r, i64 i, float none) {
  if (r.vectors && i < r.n) {
    float4 w = *(const float4 *)(r.at + i);
    v[0] = w.x, v[1] = w.y, v[2] = w.z, v[3] = w.w;
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; j++) v[j] = i + j < r.n ? r.at[(i + j) * r.stride] : none;
}

// store4 stores them.
__device__ inline void store4(const float (&v)[4], float *at, i64 stride, i64 n, bool vectors, i64 i) {
  if (vectors) {
    if (i < n) *(float4 *)(at + i) = make_float4(v[0], v[1], v[2], v[3]);
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; j++)
    if (i + j < n) at[(i + j) * stride] = v[j];
}

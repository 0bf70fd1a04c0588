// Positions of strided operands.

#pragma once

#include "common.cuh"

constexpr int max_rank = 8;

// Axis is the size of one axis, and a factor and a shift that divide a number
// below 2^31 by it.
struct Axis {
  u32 size, magic, shift, pad;
};

__device__ inline u32 divide(u32 i, const Axis &a) { return (u64)i * a.magic >> a.shift; }

// Index is the shape that operands share, innermost axis first. n is below 2^31.
struct Index {
  u32 n, rank;
  Axis axis[max_rank];
};

// Strides are those of one operand, in elements, innermost axis first.
struct Strides {
  i64 at[max_rank];
};

// locate sets off to the offsets of element i in each operand.
template <int operands>
__device__ inline void locate(const Index &x, const Strides (&s)[operands], u32 i, i64 (&off)[operands]) {
#pragma unroll
  for (int k = 0; k < operands; k++) off[k] = 0;
  for (u32 d = 0; d < x.rank; d++) {
    u32 at = i;
    if (d + 1 < x.rank) {
      i = divide(i, x.axis[d]);
      at -= i * x.axis[d].size;
    }
#pragma unroll
    for (int k = 0; k < operands; k++) off[k] += at * s[k].at[d];
  }
}

// offset is locate for one operand.
__device__ inline i64 offset(const Index &x, const Strides &s, u32 i) {
  i64 off = 0;
  for (u32 d = 0; d < x.rank; d++) {
    u32 at = i;
    if (d + 1 < x.rank) {
      i = divide(i, x.axis[d]);
      at -= i * x.axis[d].size;
    }
    off += at * s.at[d];
  }
  return off;
}

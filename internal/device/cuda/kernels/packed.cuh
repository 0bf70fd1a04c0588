// The layout of packed weights [K, N]: where products read element (k, n), and
// lookups of one row. K is padded to a multiple of 64 and N to one of 8 or 16,
// with zeros.

#pragma once

#include "common.cuh"

// The element types of weights: plan.DType has the same numbers.
enum : u32 { ELEM_F32 = 1, ELEM_F16 = 2, ELEM_BF16 = 3 };

// CHUNK_F32 and CHUNK_16 are the lengths of the chunks of a reduction.
const u32 CHUNK_F32 = 64;
const u32 CHUNK_16 = 128;

// packed_f32 is [N/8][64][C][8]: C chunks of 64 rows. The threads of a warp
// reduce one chunk and four columns each, so that a load of one row of all
// chunks is contiguous.
__device__ inline u64 packed_f32(u32 k, u32 n, u32 chunks) {
  return (((u64)(n / 8) * 64 + k % 64) * chunks + k / 64) * 8 + n % 8;
}

// packed_16 is [N/16][K/16][32 lanes][8]: the fragments of the left operand of
// mma.m16n8k16, whose rows are columns of the weight. Row g of a fragment is
// column 2g and row g+8 column 2g+1, so that a thread has adjacent results.
// Columns 2j, 2j+1, 2j+8 and 2j+9 are k = 4j .. 4j+3, so that a thread reads
// adjacent elements of the other operand.
__device__ inline u64 packed_16(u32 k, u32 n, u32 steps) {
  u32 lane = n % 16 / 2 * 4 + k % 16 / 4;
  return (((u64)(n / 16) * steps + k / 16) * 32 + lane) * 8 + k % 4 / 2 * 4 + n % 2 * 2 + k % 2;
}

__device__ inline float f16_to_f32(u16 h) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
  return f;
}

__device__ inline float bf16_to_f32(u16 h) { return __uint_as_float((u32)h << 16); }

// packed_at is element (k, n) of a packed weight with this many rows.
__device__ inline float packed_at(const void *w, u32 elem, u32 rows, u32 k, u32 n) {
  u32 padded = (rows + 63) / 64;
  if (elem == ELEM_F32) return ((const float *)w)[packed_f32(k, n, padded)];
  u16 h = ((const u16 *)w)[packed_16(k, n, padded * 4)];
  return elem == ELEM_F16 ? f16_to_f32(h) : bf16_to_f32(h);
}

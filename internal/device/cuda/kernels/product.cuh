// What the products with packed weights share: their arguments, the portions of
// the rows, and the stages after a product.

#pragma once

#include "packed.cuh"
#include "pointwise.cuh"

// Portion is consecutive rows of one session. Its rows begin at row first of
// the product.
struct Portion {
  const float *a;
  float *out;
  u64 stride_a, stride_out;  // in elements
  u32 first;
  u32 pad;
};

// Operand is the second operand of a stage for one portion: row r begins at
// r / inner * outer_stride + r % inner * inner_stride. Strides are 0 for a row
// vector.
struct Operand {
  const float *at;
  u64 inner_stride, outer_stride;
  u32 inner;
  u32 pad;
};

// StageCode is one stage. slot is its place among the operands of a portion.
struct StageCode {
  u32 code;
  float param;
  u32 binary;
  u32 slot;
};

const u32 INLINE_STAGES = 8, INLINE_PORTIONS = 16, INLINE_OPERANDS = 32;

// Product is the arguments. The lists are in the arguments if they fit there,
// else in a table in device memory: then table has the portions, the operands
// (by portion and slot) and the stages, in this order.
struct Product {
  const void *w;
  const void *table;
  void *scratch;  // the left operand in 16 bits, see convert_rows
  u32 k, n, rows;
  u32 portions, operands, stages;  // operands of each portion
  u32 units;                       // units of columns for each block
  u32 segment;                     // chunks for each pass
  u32 groups;                      // groups of rows, or tiles of rows
  u32 aligned;                     // rows of the left operand begin at multiples of 16 bytes
  Portion portion[INLINE_PORTIONS];
  Operand operand[INLINE_OPERANDS];
  StageCode stage[INLINE_STAGES];
};

__device__ inline Portion portion_at(const Product &a, u32 i) {
  if (a.table) return ((const Portion *)a.table)[i];
  return a.portion[i];
}

__device__ inline Operand operand_at(const Product &a, u32 i) {
  if (a.table) return ((const Operand *)((const Portion *)a.table + a.portions))[i];
  return a.operand[i];
}

__device__ inline StageCode stage_at(const Product &a, u32 i) {
  if (!a.table) return a.stage[i];
  const Operand *end = (const Operand *)((const Portion *)a.table + a.portions) + a.portions * a.operands;
  return ((const StageCode *)end)[i];
}

// portion_of finds the portion of a row.
__device__ inline u32 portion_of(const Product &a, u32 row) {
  u32 lo = 0, hi = a.portions;  // first of lo <= row, of hi > row
  while (hi - lo > 1) {
    u32 mid = (lo + hi) / 2;
    u32 first = a.table ? ((const Portion *)a.table)[mid].first : a.portion[mid].first;
    if (first <= row) lo = mid;
    else hi = mid;
  }
  return lo;
}

// in_global says that p, which was read from memory, is an address of global
// memory.
template <typename T>
__device__ inline T *in_global(T *p) {
  __builtin_assume(__isGlobal(p));
  return p;
}

// row_of is where a row of the left operand begins.
__device__ inline const float *row_of(const Product &a, u32 row) {
  Portion p = portion_at(a, portion_of(a, row));
  return in_global(p.a) + (u64)(row - p.first) * p.stride_a;
}

// finish applies the stages to an element of the product and stores it.
__device__ inline void finish(const Product &a, u32 row, u32 col, float v) {
  u32 i = portion_of(a, row);
  Portion p = portion_at(a, i);
  u32 r = row - p.first;
  for (u32 s = 0; s < a.stages; s++) {
    StageCode c = stage_at(a, s);
    if (c.binary) {
      Operand o = operand_at(a, i * a.operands + c.slot);
      v = apply_binary(c.code, v, in_global(o.at)[r / o.inner * o.outer_stride + r % o.inner * o.inner_stride + col]);
    } else {
      v = apply_unary(c.code, v, c.param);
    }
  }
  in_global(p.out)[(u64)r * p.stride_out + col] = v;
}

// load4 is four elements of a row from k on, 0 beyond its end. v says that a
// load of 16 bytes is aligned.
__device__ inline float4 load4(const float *row, u32 k, u32 end, bool v) {
  row = in_global(row);
  if (v && k + 4 <= end) return *(const float4 *)(row + k);
  float4 x = {0.0f, 0.0f, 0.0f, 0.0f};
  if (k < end) x.x = row[k];
  if (k + 1 < end) x.y = row[k + 1];
  if (k + 2 < end) x.z = row[k + 2];
  if (k + 3 < end) x.w = row[k + 3];
  return x;
}

// copy_async copies 16 bytes to shared memory. committed ends a group of
// copies, and arrived waits until at most N groups of this thread are under way.
__device__ inline void copy_async(void *to, const void *from) {
  u32 shared = (u32)__cvta_generic_to_shared(to);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared), "l"(from) : "memory");
}
__device__ inline void committed() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N>
__device__ inline void arrived() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

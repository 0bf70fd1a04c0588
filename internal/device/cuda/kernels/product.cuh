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
// r / inner * outer_stride + r % inner * inner_stride. inner is 1 for rows of one
// stride, which is 0 for a row vector.
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

__device__ inline const float *operand_row(const Operand &o, u32 r) {
  const float *at = in_global(o.at);
  if (o.inner == 1) return at + r * o.outer_stride;
  return at + (r / o.inner * o.outer_stride + r % o.inner * o.inner_stride);
}

// Place is where an element goes, and the first operands of its stages, which
// are loaded before the element is known: at the end of a short kernel, their
// latency would be a large part of its time.
const u32 EARLY = 2;
struct Place {
  float *out;
  u32 portion, r;
  float y[EARLY];
};

__device__ inline Place place_of(const Product &a, u32 row, u32 col) {
  Place p;
  p.portion = portion_of(a, row);
  Portion own = portion_at(a, p.portion);
  p.r = row - own.first;
  p.out = own.out + p.r * own.stride_out + col;
#pragma unroll
  for (u32 s = 0; s < EARLY; s++) {
    p.y[s] = 0.0f;
    if (s < a.operands) p.y[s] = operand_row(operand_at(a, p.portion * a.operands + s), p.r)[col];
  }
  return p;
}

// finish applies the stages to an element of the product and stores it.
__device__ inline void finish(const Product &a, const Place &p, u32 col, float v) {
  for (u32 s = 0; s < a.stages; s++) {
    StageCode c = stage_at(a, s);
    if (!c.binary) {
      v = apply_unary(c.code, v, c.param);
      continue;
    }
    float y = c.slot == 0 ? p.y[0] : p.y[1];
    if (c.slot >= EARLY) y = operand_row(operand_at(a, p.portion * a.operands + c.slot), p.r)[col];
    v = apply_binary(c.code, v, y);
  }
  *in_global(p.out) = v;
}

// finish_tile applies the stages to results in shared memory, of which a thread
// has one column, and stores them. Results after the product's are dropped.
template <int ROWS, int COLS, int STRIDE, int THREADS>
__device__ inline void finish_tile(const Product &a, float *tile, u32 row0, u32 col0) {
  const u32 col = col0 + threadIdx.x % COLS, first = threadIdx.x / COLS;
  if (col >= a.n || row0 >= a.rows) return;
  const u32 rows = min((u32)ROWS, a.rows - row0);
  const int STEP = THREADS / COLS;
  const bool one = a.portions == 1;
  tile += threadIdx.x % COLS;
  for (u32 s = 0; s < a.stages; s++) {
    const StageCode c = stage_at(a, s);
    if (!c.binary) {
#pragma unroll 4
      for (u32 r = first; r < rows; r += STEP) tile[r * STRIDE] = apply_unary(c.code, tile[r * STRIDE], c.param);
      continue;
    }
    const Operand o = operand_at(a, c.slot);
    if (one && c.code == CODE_ADD && o.inner == 1) {
      const float *y = in_global(o.at) + row0 * o.outer_stride + col;
#pragma unroll 16
      for (u32 r = first; r < rows; r += STEP) tile[r * STRIDE] += y[r * o.outer_stride];
      continue;
    }
    for (u32 r = first; r < rows; r += STEP) {
      const u32 i = portion_of(a, row0 + r);
      const float *y = operand_row(operand_at(a, i * a.operands + c.slot), row0 + r - portion_at(a, i).first);
      tile[r * STRIDE] = apply_binary(c.code, tile[r * STRIDE], y[col]);
    }
  }
  if (one) {
    const Portion p = portion_at(a, 0);
    float *out = in_global(p.out) + row0 * p.stride_out + col;
#pragma unroll 8
    for (u32 r = first; r < rows; r += STEP) out[r * p.stride_out] = tile[r * STRIDE];
    return;
  }
  for (u32 r = first; r < rows; r += STEP) {
    const Portion p = portion_at(a, portion_of(a, row0 + r));
    in_global(p.out)[(row0 + r - p.first) * p.stride_out + col] = tile[r * STRIDE];
  }
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

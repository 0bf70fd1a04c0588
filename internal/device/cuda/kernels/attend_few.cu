// Attention for few rows, such as those of a decode step: the blocks of keys are
// computed side by side.

#include "attention.cuh"

enum {
  few_rows = 8, // rows of a block of threads
  few_threads = 128,
  few_stride = 68, // distance of staged keys: no bank conflicts of float4
};

// attend_few computes up to 8 rows of a head: a block of threads for each block
// of keys, whose results the last of them to finish merges.
extern "C" __global__ void __launch_bounds__(few_threads, 4) attend_few(const __grid_constant__ Attend a) {
  __shared__ float4 staged_keys[key_block * few_stride / 4];
  __shared__ float4 staged_values[key_block * part / 4];
  __shared__ float4 staged_queries[few_rows * part / 4];
  __shared__ float4 staged_weights[few_rows * key_block / 4];
  __shared__ u32 flags[few_rows];
  float *keys = (float *)staged_keys, *values = (float *)staged_values;
  float *queries = (float *)staged_queries, *weights = (float *)staged_weights;

  i32 block = blockIdx.x, row0 = blockIdx.y * few_rows, rows = min(a.rows - row0, (i32)few_rows);
  Heads h = find_head(a, a.first + blockIdx.z);
  Range all = {range_of(a, h.start, row0).lo, range_of(a, h.start, row0 + rows - 1).hi};
  i32 from = all.lo / key_block, to = (all.hi + key_block - 1) / key_block;
  if (from >= to) from = 0, to = 1;
  if (block < from || block >= to) return;

  i32 n = a.keys - block * key_block;
  i32 mine = threadIdx.x & (key_block - 1), half = threadIdx.x / key_block; // key or column, and row
  i32 stride = (a.width + 3) / 4 * 4 + 4;
  float *partial = a.partial + (i64)(blockIdx.z * a.rows + row0) * gridDim.x * stride;
  i64 row_stride = (i64)gridDim.x * stride;

  // Scores: a thread has one key, and every other row.
  float s[few_rows / 2] = {};
  Staged<few_threads> k_staged, v_staged;
  v_staged.fetch(block_of(a.v, h.v, block), a.v.row, n, 0, a.width, a.v.wide);
  for (i32 d0 = 0; d0 < a.dim; d0 += part) {
    if (d0 > 0) __syncthreads();
    k_staged.fetch(block_of(a.k, h.k, block), a.k.row, n, d0, a.dim, a.k.wide);
    for (i32 i = threadIdx.x; i < rows * part; i += few_threads) {
      i32 r = i / part, d = d0 + i % part;
      queries[i] = d < a.dim ? a.q.at[h.q + (row0 + r) * a.q.row + d] : 0.0f;
    }
    k_staged.store<few_stride>(keys);
    __syncthreads();
    i32 steps = min(a.dim - d0, (i32)part);
#pragma unroll
    for (i32 i = 0; i < few_rows / 2; i++) {
      if (2 * i + half >= rows) break;
      const float *q = queries + (2 * i + half) * part, *k = keys + mine * few_stride;
      i32 d = 0;
#pragma unroll 4
      for (; d + 4 <= steps; d += 4) {
        float x[4], y[4];
        fragment(x, q + d);
        fragment(y, k + d);
#pragma unroll
        for (i32 e = 0; e < 4; e++) s[i] = fmaf(x[e], y[e], s[i]);
      }
      for (; d < steps; d++) s[i] = fmaf(q[d], k[d], s[i]);
    }
  }
#pragma unroll
  for (i32 i = 0; i < few_rows / 2; i++) {
    i32 r = 2 * i + half;
    if (r >= rows) break;
    Range seen = range_of(a, h.start, row0 + r);
    i32 key = block * key_block + mine;
    weights[r * key_block + mine] = key >= seen.lo && key < seen.hi ? scored(a, h, row0 + r, key, s[i]) : MINUS_INF;
  }
  v_staged.store<part>(values);
  __syncthreads();

  // Weights: 16 threads have a row.
  {
    i32 r = threadIdx.x >> 4, lane = threadIdx.x & 15;
    float x[4] = {}, m, l;
    if (r < rows) fragment(x, weights + r * key_block + 4 * lane);
    weigh(x, m, l);
    if (r < rows) {
      *(float4 *)(weights + r * key_block + 4 * lane) = make_float4(x[0], x[1], x[2], x[3]);
      if (lane == 0) {
        float *p = partial + r * row_stride + (i64)block * stride;
        p[0] = m, p[1] = l;
      }
    }
  }
  __syncthreads();

  // Values: a thread has one column of each part, and every other row.
  for (i32 c0 = 0; c0 < a.width; c0 += part) {
    if (c0 > 0) {
      __syncthreads();
      v_staged.fetch(block_of(a.v, h.v, block), a.v.row, n, c0, a.width, a.v.wide);
      v_staged.store<part>(values);
      __syncthreads();
    }
    for (i32 r = half; r < rows; r += 2) {
      Range seen = range_of(a, h.start, row0 + r);
      i32 lo = max(seen.lo - block * key_block, 0), hi = min(seen.hi - block * key_block, (i32)key_block);
      const float *w = weights + r * key_block, *v = values + mine;
      float o = 0.0f;
#pragma unroll 8
      for (i32 key = lo; key < hi; key++) o = fmaf(w[key], v[key * part], o);
      if (c0 + mine < a.width) partial[r * row_stride + (i64)block * stride + 4 + c0 + mine] = o;
    }
  }

  // The last block merges. It leaves its counter at zero.
  if (to - from > 1) {
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
      u32 *counter = a.counters + blockIdx.z * gridDim.y + blockIdx.y;
      flags[0] = atomicAdd(counter, 1u) == to - from - 1;
      if (flags[0]) *counter = 0;
    }
    __syncthreads();
    if (!flags[0]) return;
    __threadfence();
  }
  __syncthreads();
  for (i32 r = half; r < rows; r += 2) {
    i32 row = row0 + r;
    Range seen = range_of(a, h.start, row);
    i32 first = seen.lo / key_block, end = seen.lo < seen.hi ? (seen.hi + key_block - 1) / key_block : first;
    const float *p = partial + r * row_stride;
    for (i32 c = mine; c - mine < a.width; c += part) {
      Merged state = nothing_merged();
      float sum = 0.0f;
#pragma unroll 8
      for (i32 b = first; b < end; b++) {
        const float *x = p + (i64)b * stride;
        float value = c < a.width ? __ldcg(x + 4 + c) : 0.0f;
        Factors f = merge(state, __ldcg(x), __ldcg(x + 1));
        sum = merged(sum, value, f);
      }
      bool is_plain = plain(a, seen, state);
      if (c == 0) flags[r] = is_plain;
      if (!is_plain && c < a.width) h.out[row * a.out_row + c] = sum / state.l;
    }
  }
  __syncthreads();
  for (i32 r = 0; r < rows; r++) {
    if (!flags[r]) continue;
    i32 row = row0 + r;
    plain_row(a, h, row, range_of(a, h.start, row), keys, [&](i32 col, float x) { h.out[row * a.out_row + col] = x; });
  }
}

// Selection of the largest elements of a row, by the threads of one block.
//
// Elements are ordered by code: larger elements first, equal ones by index, NaN
// last. A code is the 32 bits of order with the index below. What is added is
// integers, so no result depends on the order of the additions.

#pragma once

#include "common.cuh"

// Lines are the rows along one axis of a tensor: element i of row r is at
// sum(r's index on axis a * strides[a]) + i*stride.
struct Lines {
  const float *at;
  i64 rows, n, stride;
  i64 strides[8];
  i64 shape[8];
  i32 rank;
  i32 pad;
};

__device__ inline const float *line(const Lines &l, i64 row) {
  const float *p = l.at;
  for (i32 d = l.rank - 1; d >= 0; d--) {
    p += row % l.shape[d] * l.strides[d];
    row /= l.shape[d];
  }
  return p;
}

// order is ascending where elements are descending. Zeros are equal.
__device__ inline u32 order(float x) {
  if (x != x) return 0xffffffffu;
  u32 b = x == 0.0f ? 0 : __float_as_uint(x);
  return b >> 31 ? b : ~(b | 0x80000000u);
}

__device__ inline u64 code_of(float x, i64 i) { return (u64)order(x) << 32 | (u32)i; }

enum { bins = 2048, select_threads = 512, max_warps = select_threads / 32 };

// Work is the shared memory of a block.
struct Work {
  u32 low[bins], high[bins], count[bins]; // a sum of 64 bits, and the number of terms
  u64 warps[max_warps];
  u64 code, weight, before;
  u32 digit, terms;
};

// add adds w to bin d: the carry moves on, in whatever order.
__device__ inline void add(Work &s, u32 d, u64 w) {
  u32 low = (u32)w, high = (u32)(w >> 32);
  if (low) high += atomicAdd(&s.low[d], low) > ~low;
  if (high) atomicAdd(&s.high[d], high);
  atomicAdd(&s.count[d], 1u);
}

// scan is the sum of x over the threads before this one; all is that of all.
__device__ inline u64 scan(Work &s, u64 x, u64 &all) {
  i32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  u64 sum = x;
#pragma unroll
  for (i32 step = 1; step < 32; step <<= 1) {
    u64 y = __shfl_up_sync(0xffffffffu, sum, step);
    if (lane >= step) sum += y;
  }
  if (lane == 31) s.warps[warp] = sum;
  __syncthreads();
  u64 earlier = 0;
  all = 0;
  for (i32 i = 0; i < blockDim.x >> 5; i++) {
    u64 y = s.warps[i];
    if (i < warp) earlier += y;
    all += y;
  }
  __syncthreads();
  return earlier + sum - x;
}

// Row is the elements that are selected from.
struct Row {
  const float *x;
  i64 n, stride;
  const u64 *weights; // null: each is 1
  u64 last;           // codes after it are left out
  bool finite;        // NaN and -Inf are left out
  bool spread;        // bins are even parts from top down
  double top, scale;

  __device__ float at(i64 i) const { return x[i * stride]; }
  __device__ bool has(float v, u64 code) const { return code <= last && (!finite || v >= -3.40282346638528859811704183484516925e38f); }
  // bin does not decrease where elements do not increase.
  __device__ u32 bin(float v) const {
    double b = (top - (double)v) * scale;
    return b < bins - 1 ? (u32)b : bins - 1;
  }
};

// each calls f(i, element, weight) for the elements of a row, each in one thread. Several
// are loaded at a time: one after the other, most time would be spent waiting.
template <bool weighted, typename F> __device__ inline void each(const Row &r, F f) {
  constexpr i32 many = 8;
  i64 i = threadIdx.x, step = blockDim.x;
  for (; i + (many - 1) * step < r.n; i += many * step) {
    float v[many];
    u64 w[many];
#pragma unroll
    for (i32 j = 0; j < many; j++) {
      v[j] = r.at(i + j * step);
      w[j] = weighted ? r.weights[i + j * step] : 1;
    }
#pragma unroll
    for (i32 j = 0; j < many; j++) f(i + j * step, v[j], w[j]);
  }
#pragma unroll 1
  for (; i < r.n; i += step) f(i, r.at(i), weighted ? r.weights[i] : 1);
}

// Found is an element, and the weight of those before it.
struct Found {
  u64 code, before, weight;
};

// choose_bin finds the bin that reaches want.
__device__ inline void choose_bin(Work &s, u64 want) {
  i32 each = bins / blockDim.x;
  u64 sum = 0, all;
  for (i32 i = threadIdx.x * each; i < (threadIdx.x + 1) * each; i++) sum += (u64)s.high[i] << 32 | s.low[i];
  u64 before = scan(s, sum, all);
  if (before < want && want <= before + sum)
    for (i32 i = threadIdx.x * each; i < (threadIdx.x + 1) * each; i++) {
      u64 w = (u64)s.high[i] << 32 | s.low[i];
      if (want <= before + w) {
        s.digit = i, s.before = before, s.terms = s.count[i];
        break;
      }
      before += w;
    }
  __syncthreads();
}

// find finds the first element whose weight, with that of all before it,
// reaches want, from 1 to the sum. The order of elements is that of their codes,
// which it determines by digits, the highest first.
__device__ inline Found find(Work &s, const Row &r, u64 want) {
  u64 chosen = 0, before = 0;
  u32 chosen_bin = 0;
  i32 shift = 64;
  for (i32 level = r.spread ? 0 : 1; level < 7; level++) {
    // The 32 bits of order, then those of the index, in digits of 11, 11 and 10.
    i32 low = level < 1 ? 64 : level < 4 ? 64 - min(11 * level, 32) : 32 - min(11 * (level - 3), 32);
    if (level > 3 && low < 32 && (r.n - 1) >> low == 0) { // zeros
      shift = low;
      continue;
    }
    for (i32 i = threadIdx.x; i < bins; i += blockDim.x) s.low[i] = 0, s.high[i] = 0, s.count[i] = 0;
    __syncthreads();
    auto count = [&](i64 i, float v, u64 w) {
      u64 code = code_of(v, i);
      if (!r.has(v, code)) return;
      u32 bin = r.spread ? r.bin(v) : 0;
      if (level > 0 && (bin != chosen_bin || shift < 64 && code >> shift != chosen >> shift)) return;
      add(s, level == 0 ? bin : (u32)(code >> low) & ((1u << (shift - low)) - 1), w);
    };
    if (r.weights)
      each<true>(r, count);
    else
      each<false>(r, count);
    __syncthreads();
    choose_bin(s, want - before);
    before += s.before;
    if (level == 0)
      chosen_bin = s.digit;
    else
      chosen |= (u64)s.digit << low, shift = low;
    bool one = s.terms == 1;
    if (one) break;
  }
  each<false>(r, [&](i64 i, float v, u64) {
    u64 code = code_of(v, i);
    if (!r.has(v, code) || r.spread && r.bin(v) != chosen_bin || shift < 64 && code >> shift != chosen >> shift) return;
    s.code = code, s.weight = r.weights ? r.weights[i] : 1;
  });
  __syncthreads();
  Found f = {s.code, before, s.weight};
  return f;
}

// sort sorts n codes, a power of two.
__device__ inline void sort(u64 *codes, i64 n) {
  for (i64 size = 2; size <= n; size <<= 1)
    for (i64 step = size >> 1; step > 0; step >>= 1) {
      __syncthreads();
      for (i64 i = threadIdx.x; i < n / 2; i += blockDim.x) {
        i64 a = 2 * i - (i & (step - 1)), b = a + step;
        u64 x = codes[a], y = codes[b];
        if ((x > y) == ((a & size) == 0)) codes[a] = y, codes[b] = x;
      }
    }
  __syncthreads();
}

// Best is the first largest element: NaN never is, and without any the index is 0.
struct Best {
  float value;
  i32 index;
};

__device__ inline Best better(Best a, Best b) {
  return b.value > a.value || b.value == a.value && b.index < a.index ? b : a;
}

// best_of is the best of all threads' ones.
__device__ inline Best best_of(Work &s, Best b) {
#pragma unroll
  for (i32 step = 16; step > 0; step >>= 1)
    b = better(b, {__shfl_xor_sync(0xffffffffu, b.value, step), __shfl_xor_sync(0xffffffffu, b.index, step)});
  if ((threadIdx.x & 31) == 0) s.warps[threadIdx.x >> 5] = (u64)__float_as_uint(b.value) << 32 | (u32)b.index;
  __syncthreads();
  for (i32 i = 0; i < blockDim.x >> 5; i++) {
    u64 x = s.warps[i];
    b = better(b, {__uint_as_float((u32)(x >> 32)), (i32)(u32)x});
  }
  __syncthreads();
  return b;
}

__device__ inline Best none_best() { return {__uint_as_float(0xff800000u), 0}; }

__device__ inline void see(Best &b, float v, i64 i) {
  if (v > b.value) b = {v, (i32)i};
}

// Attention: what its two kernels share, so that a row has the same bits in
// both. Keys are cut into blocks of 64, aligned to positions 0, 64, 128 and so
// on. A block gives a row the greatest score m of its visible keys, the sum l
// of their weights e^(score-m), and the weighted values. The blocks with keys
// that are visible to the row are merged in ascending order. Nothing that the
// row does not see changes any of its bits.

#pragma once

#include "elementary.cuh"

enum {
  key_block = 64, // keys of a block
  part = 64,      // elements of a query, key or value that are staged at once
  max_axes = 6,   // axes of heads
};

#define MASK_VALUE (-3.40282346638528859811704183484516925e38f)
#define MINUS_INF (__int_as_float(0xff800000))

// Matrices are the rows of all heads: row r of head h begins at element
// sum(h's index i on axis a * head[a]) + r*row, of at, or in pages of page_rows
// rows each, of the page's address in table.
struct Matrices {
  const float *at;
  const float *const *table; // null for one piece
  i64 row;
  i64 head[max_axes];
  i32 page_rows;
  i32 wide; // everything is aligned to four elements
};

struct Attend {
  float *out;
  const void *start; // null for none
  const void *mask;  // null for none, see masked_by
  float *partial;
  u32 *counters;
  Matrices q, k, v;
  i64 out_batch, out_head, out_row;
  i64 start_stride;
  i64 mask_row, mask_key;
  i64 mask_head[max_axes];
  i32 shape[max_axes];
  i32 axes;
  i32 first; // head of this launch
  i32 per_batch;
  i32 rows, keys, dim, width;
  i32 masked, window;
  i32 start_wide; // i64
  i32 divide;
  float scale;
  float softcap; // 0 for none
  i32 masked_by; // 0: nothing, 1: float32 that are added, 2: bytes, 0 where a row does not see
  i32 pad;
};

// Heads is where a head's rows are.
struct Heads {
  i64 q, k, v, mask; // in elements
  float *out;
  i32 start;
};

__device__ inline Heads find_head(const Attend &a, i32 head) {
  Heads h = {0, 0, 0, 0, nullptr, 0};
  i32 rest = head;
  for (i32 d = a.axes - 1; d >= 0; d--) {
    i32 i = rest % a.shape[d];
    rest /= a.shape[d];
    h.q += i * a.q.head[d];
    h.k += i * a.k.head[d];
    h.v += i * a.v.head[d];
    h.mask += i * a.mask_head[d];
  }
  i32 batch = head / a.per_batch;
  h.out = a.out + batch * a.out_batch + (head - batch * a.per_batch) * a.out_head;
  if (a.start) {
    i64 at = batch * a.start_stride;
    i64 s = a.start_wide ? ((const i64 *)a.start)[at] : (i64)((const i32 *)a.start)[at];
    h.start = (i32)(s < 0 ? 0 : s > a.keys ? a.keys : s);
  }
  return h;
}

// Range is the keys that a row sees: from lo to hi, exclusive.
struct Range {
  i32 lo, hi;
};

__device__ inline Range range_of(const Attend &a, i32 start, i32 row) {
  i32 hi = a.masked ? a.keys - a.rows + row + 1 : a.keys;
  i32 lo = start;
  if (a.window > 0 && hi - a.window > lo) lo = hi - a.window;
  hi = hi < 0 ? 0 : hi > a.keys ? a.keys : hi;
  return {lo < hi ? lo : hi, hi};
}

// block_of is the address of row 0 of a block of 64.
__device__ inline const float *block_of(const Matrices &m, i64 head, i32 block) {
  if (!m.table) return m.at + head + (i64)block * key_block * m.row;
  i32 first = block * key_block;
  i32 page = first / m.page_rows;
  return m.table[page] + head + (i64)(first - page * m.page_rows) * m.row;
}

// exponential is e^x for x of at most 0.
__device__ inline float exponential(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x * 1.44269504088896340736f));
  return y;
}

// scored is the score of a key that the row sees, of their product.
__device__ inline float scored(const Attend &a, const Heads &h, i32 row, i32 key, float product) {
  float s = a.divide ? product / a.scale : product * a.scale;
  if (a.softcap > 0.0f) s = a.softcap * tanh_f32(s / a.softcap);
  if (a.masked_by) {
    i64 at = h.mask + row * a.mask_row + key * a.mask_key;
    if (a.masked_by == 1)
      s += ((const float *)a.mask)[at];
    else if (!((const unsigned char *)a.mask)[at])
      s = MASK_VALUE;
  }
  return s;
}

// Merged is what a row's blocks give so far.
struct Merged {
  float m, l;
};

__device__ inline Merged nothing_merged() { return {MINUS_INF, 0.0f}; }

// Factors multiply the earlier blocks and the new one.
struct Factors {
  float old_part, new_part;
};

// merge adds the next block of a row. The caller merges each value by merged.
__device__ inline Factors merge(Merged &r, float m, float l) {
  float top = fmaxf(r.m, m);
  float base = top == MINUS_INF ? 0.0f : top;
  Factors f = {exponential(r.m - base), exponential(m - base)};
  r.l = fmaf(r.l, f.old_part, l * f.new_part);
  r.m = top;
  return f;
}

__device__ inline float merged(float sum, float value, Factors f) {
  return fmaf(sum, f.old_part, value * f.new_part);
}

// weigh turns the scores of a block into weights. Each of 16 adjacent lanes has
// four, -Inf where the row does not see the key.
__device__ inline void weigh(float (&s)[4], float &m, float &l) {
  m = fmaxf(fmaxf(s[0], s[1]), fmaxf(s[2], s[3]));
#pragma unroll
  for (i32 step = 8; step > 0; step >>= 1) m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, step));
  float base = m == MINUS_INF ? 0.0f : m;
#pragma unroll
  for (i32 i = 0; i < 4; i++) s[i] = exponential(s[i] - base);
  l = (s[0] + s[1]) + (s[2] + s[3]);
#pragma unroll
  for (i32 step = 8; step > 0; step >>= 1) l += __shfl_xor_sync(0xffffffffu, l, step);
}

// plain reports whether keys that the row does not see have weight: it sees
// none, or their scores are all as low as those of masked keys. A NaN is not
// low.
__device__ inline bool plain(const Attend &a, Range r, Merged all) {
  return r.hi - r.lo < a.keys && !(all.m > MASK_VALUE) && all.l == all.l;
}

// plain_row computes such a row, by all threads of the block. weights has 64
// elements of shared memory. The result of column tid of part c0 is passed to
// store.
template <typename Store>
__device__ inline void plain_row(const Attend &a, const Heads &h, i32 row, Range r, float *weights, Store store) {
  for (i32 c0 = 0; c0 < a.width; c0 += blockDim.x) {
    i32 col = c0 + threadIdx.x;
    float total = 0.0f, count = 0.0f;
    for (i32 b = 0; b * key_block < a.keys; b++) {
      i32 n = min(a.keys - b * key_block, (i32)key_block);
      __syncthreads();
      if (threadIdx.x < n) {
        i32 key = b * key_block + threadIdx.x;
        float w = 1.0f;
        if (key >= r.lo && key < r.hi) {
          const float *q = a.q.at + h.q + row * a.q.row;
          const float *k = block_of(a.k, h.k, b) + threadIdx.x * a.k.row;
          float s = 0.0f;
#pragma unroll 1
          for (i32 d = 0; d < a.dim; d++) s = fmaf(q[d], k[d], s);
          w = scored(a, h, row, key, s) == MASK_VALUE ? 1.0f : 0.0f;
        }
        weights[threadIdx.x] = w;
      }
      __syncthreads();
      const float *v = block_of(a.v, h.v, b) + col;
      float sum = 0.0f;
#pragma unroll 1
      for (i32 j = 0; j < n; j++) {
        if (weights[j] == 0.0f) continue;
        count += 1.0f;
        if (col < a.width) sum += v[j * a.v.row];
      }
      total += sum;
    }
    if (col < a.width) store(col, total / count);
  }
}

// Staged is a thread's part of 64 rows x 64 elements, with zeros beyond, on its
// way to shared memory.
template <i32 threads> struct Staged {
  enum { each = part * key_block / 4 / threads };
  float4 x[each];

  __device__ void fetch(const float *from, i64 stride, i32 rows, i32 c0, i32 width, bool wide) {
#pragma unroll
    for (i32 i = 0; i < each; i++) {
      i32 at = i * threads + threadIdx.x, r = at >> 4, c = (at & 15) * 4;
      x[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
      if (r >= rows) continue;
      const float *p = from + r * stride + c0 + c;
      if (wide) {
        if (c0 + c < width) x[i] = *(const float4 *)p;
      } else {
        if (c0 + c < width) x[i].x = p[0];
        if (c0 + c + 1 < width) x[i].y = p[1];
        if (c0 + c + 2 < width) x[i].z = p[2];
        if (c0 + c + 3 < width) x[i].w = p[3];
      }
    }
  }
  template <i32 distance> __device__ void store(float *to) const {
#pragma unroll
    for (i32 i = 0; i < each; i++) {
      i32 at = i * threads + threadIdx.x, r = at >> 4, c = (at & 15) * 4;
      *(float4 *)(to + r * distance + c) = x[i];
    }
  }
};

__device__ inline void fragment(float (&x)[4], const float *p) {
  float4 y = *(const float4 *)p;
  x[0] = y.x, x[1] = y.y, x[2] = y.z, x[3] = y.w;
}

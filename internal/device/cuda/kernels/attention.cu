// Attention for many rows, in tiles of 64.

#include "attention.cuh"

enum {
  tile_rows = 64,     // rows of a block of attend_tile
  tile_threads = 256, // 16 x 16, each with 4 rows and 4 keys or columns
};

// load_turned stages 64 rows x 64 elements, from element d0 on, as [element][row],
// with zeros beyond. Groups of four rows are permuted, so that neither the
// stores here nor the loads of fragments conflict: see turned.
__device__ inline i32 turned(i32 element, i32 group) {
  return element * tile_rows + ((group ^ (element >> 2)) & 15) * 4;
}

__device__ inline void load_turned(float *to, const float *from, i64 stride, i32 rows, i32 d0, i32 dim, bool wide) {
  i32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  i32 row = warp * 8 + (lane >> 3);
#pragma unroll
  for (i32 i = 0; i < 4; i++) {
    i32 r = row + (i & 1) * 4;
    i32 d = ((lane & 7) + (i >> 1) * 8) * 4;
    float x[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (r < rows) {
      const float *p = from + r * stride + d0 + d;
      if (wide) {
        if (d0 + d < dim) {
          float4 y = *(const float4 *)p;
          x[0] = y.x, x[1] = y.y, x[2] = y.z, x[3] = y.w;
        }
      } else {
#pragma unroll
        for (i32 e = 0; e < 4; e++)
          if (d0 + d + e < dim) x[e] = p[e];
      }
    }
#pragma unroll
    for (i32 e = 0; e < 4; e++) to[turned(d + e, r >> 2) + (r & 3)] = x[e];
  }
}

// Tile is a block of attend_tile: 64 rows and 64*parts columns of a head's
// output. Thread (tx, ty) has rows 4*ty and on; in scores, keys 4*tx and on; in
// the output, columns 4*tx and on of each part.
template <i32 parts> struct Tile {
  const Attend &a;
  Heads h;
  i32 row0, c0, tx, ty;
  float *q, *k, *v; // shared; k has the weights too
  Merged state[4];
  float sum[parts][4][4];

  __device__ Range range(i32 i) const { return range_of(a, h.start, min(row0 + 4 * ty + i, a.rows - 1)); }

  // scores are the products with a block of keys.
  __device__ void scores(float (&s)[4][4], i32 block) {
    const float *keys = block_of(a.k, h.k, block);
    i32 n = a.keys - block * key_block;
#pragma unroll
    for (i32 i = 0; i < 4; i++)
#pragma unroll
      for (i32 j = 0; j < 4; j++) s[i][j] = 0.0f;
    for (i32 d0 = 0; d0 < a.dim; d0 += part) {
      if (d0 > 0 || a.dim > part) {
        __syncthreads();
        load_turned(q, a.q.at + h.q + row0 * a.q.row, a.q.row, a.rows - row0, d0, a.dim, a.q.wide);
      }
      load_turned(k, keys, a.k.row, n, d0, a.dim, a.k.wide);
      __syncthreads();
      i32 steps = min(a.dim - d0, (i32)part);
#pragma unroll 8
      for (i32 d = 0; d < steps; d++) {
        float x[4], y[4];
        fragment(x, q + turned(d, ty));
        fragment(y, k + turned(d, tx));
#pragma unroll
        for (i32 i = 0; i < 4; i++)
#pragma unroll
          for (i32 j = 0; j < 4; j++) s[i][j] = fmaf(x[i], y[j], s[i][j]);
      }
    }
  }

  // values adds a block's weights times values to the output. With partial,
  // some row does not see some key, which then has no effect.
  template <bool partial> __device__ void values(i32 block, const Factors (&f)[4], u32 touched) {
    const float *from = block_of(a.v, h.v, block);
    i32 n = a.keys - block * key_block;
    Range r[4];
    if (partial) {
#pragma unroll
      for (i32 i = 0; i < 4; i++) r[i] = range(i), r[i].lo -= block * key_block, r[i].hi -= block * key_block;
    }
#pragma unroll
    for (i32 p = 0; p < parts; p++) {
      if (p > 0) __syncthreads();
      Staged<tile_threads> staged;
      staged.fetch(from, a.v.row, n, c0 + p * part, a.width, a.v.wide);
      staged.store<part>(v);
      __syncthreads();
      float o[4][4];
#pragma unroll
      for (i32 i = 0; i < 4; i++)
#pragma unroll
        for (i32 j = 0; j < 4; j++) o[i][j] = 0.0f;
#pragma unroll 8
      for (i32 key = 0; key < key_block; key++) {
        float x[4], y[4];
        fragment(x, k + turned(key, ty));
        fragment(y, v + key * part + 4 * tx);
#pragma unroll
        for (i32 i = 0; i < 4; i++) {
          bool seen = !partial || (key >= r[i].lo && key < r[i].hi);
#pragma unroll
          for (i32 j = 0; j < 4; j++) {
            float next = fmaf(x[i], y[j], o[i][j]);
            o[i][j] = seen ? next : o[i][j];
          }
        }
      }
#pragma unroll
      for (i32 i = 0; i < 4; i++)
        if (touched >> i & 1)
#pragma unroll
          for (i32 j = 0; j < 4; j++) sum[p][i][j] = merged(sum[p][i][j], o[i][j], f[i]);
    }
  }

  __device__ void block(i32 b, bool all) {
    float s[4][4];
    scores(s, b);
    Factors f[4];
    u32 touched = 0;
    __syncthreads();
#pragma unroll
    for (i32 i = 0; i < 4; i++) {
      Range r = range(i);
      r.lo -= b * key_block, r.hi -= b * key_block;
#pragma unroll
      for (i32 j = 0; j < 4; j++) {
        bool seen = all || (4 * tx + j >= r.lo && 4 * tx + j < r.hi);
        s[i][j] = seen ? scored(a, h, min(row0 + 4 * ty + i, a.rows - 1), b * key_block + 4 * tx + j, s[i][j]) : MINUS_INF;
      }
      float m, l;
      weigh(s[i], m, l);
      f[i] = {1.0f, 0.0f};
      if (r.lo < key_block && r.hi > 0 && r.lo < r.hi) {
        touched |= 1u << i;
        f[i] = merge(state[i], m, l);
      }
    }
#pragma unroll
    for (i32 j = 0; j < 4; j++)
      *(float4 *)(k + turned(4 * tx + j, ty)) = make_float4(s[0][j], s[1][j], s[2][j], s[3][j]);
    if (all)
      values<false>(b, f, touched);
    else
      values<true>(b, f, touched);
    __syncthreads();
  }

  __device__ void run() {
    if (a.dim <= part) load_turned(q, a.q.at + h.q + row0 * a.q.row, a.q.row, a.rows - row0, 0, a.dim, a.q.wide);
    i32 last = min(row0 + tile_rows, a.rows) - 1;
    Range first = range_of(a, h.start, row0), end = range_of(a, h.start, last);
    // Both ends of the range grow with the row.
    for (i32 b = first.lo / key_block; b * key_block < end.hi; b++)
      block(b, end.lo <= b * key_block && (b + 1) * key_block <= first.hi);
    store(last);
  }

  __device__ void store(i32 last) {
    u32 *odd = (u32 *)k; // 1: sees no key, 2: sees keys with low scores
#pragma unroll
    for (i32 i = 0; i < 4; i++) {
      i32 row = row0 + 4 * ty + i;
      Range r = range(i);
      bool is_plain = plain(a, r, state[i]);
      if (tx == 0) odd[4 * ty + i] = row > last || !is_plain ? 0 : r.lo < r.hi ? 2 : 1;
      if (row > last || is_plain) continue;
#pragma unroll
      for (i32 p = 0; p < parts; p++)
#pragma unroll
        for (i32 j = 0; j < 4; j++) {
          i32 col = c0 + p * part + 4 * tx + j;
          if (col < a.width) h.out[row * a.out_row + col] = sum[p][i][j] / state[i].l;
        }
    }
    __syncthreads();
    if (blockIdx.z == 0) odd_rows(odd, (float *)(k + tile_rows), last);
  }

  // odd_rows computes the rows that plain_row must, those without visible keys
  // at once.
  __device__ void odd_rows(const u32 *odd, float *weights, i32 last) {
    u32 any = 0;
#pragma unroll
    for (i32 i = 0; i < tile_rows; i += 4) {
      uint4 x = *(const uint4 *)(odd + i);
      any |= x.x | x.y | x.z | x.w;
    }
    if (any & 1)
      plain_row(a, h, row0, Range{0, 0}, weights, [&](i32 col, float x) {
        for (i32 i = 0; i < tile_rows; i++)
          if (odd[i] == 1) h.out[(row0 + i) * a.out_row + col] = x;
      });
    if (any & 2)
      for (i32 i = 0; i <= last - row0; i++)
        if (odd[i] == 2) {
          i32 row = row0 + i;
          plain_row(a, h, row, range_of(a, h.start, row), weights, [&](i32 col, float x) { h.out[row * a.out_row + col] = x; });
        }
  }
};

template <i32 parts> __device__ inline void attend_tile(const Attend &a) {
  __shared__ float4 staged[3][tile_rows * part / 4];
  Tile<parts> t = {a, find_head(a, a.first + blockIdx.x)};
  // The last rows see most keys: they are computed first.
  t.row0 = (gridDim.y - 1 - blockIdx.y) * tile_rows;
  t.c0 = blockIdx.z * parts * part;
  t.tx = threadIdx.x & 15, t.ty = threadIdx.x >> 4;
  t.q = (float *)staged[0], t.k = (float *)staged[1], t.v = (float *)staged[2];
#pragma unroll
  for (i32 i = 0; i < 4; i++) {
    t.state[i] = nothing_merged();
#pragma unroll
    for (i32 p = 0; p < parts; p++)
#pragma unroll
      for (i32 j = 0; j < 4; j++) t.sum[p][i][j] = 0.0f;
  }
  t.run();
}

// attend_tile_64 computes 64 rows and up to 64 columns of a head in a block of
// threads, attend_tile_128 up to 128 columns.
extern "C" __global__ void __launch_bounds__(tile_threads, 2) attend_tile_64(const __grid_constant__ Attend a) {
  attend_tile<1>(a);
}
extern "C" __global__ void __launch_bounds__(tile_threads, 1) attend_tile_128(const __grid_constant__ Attend a) {
  attend_tile<2>(a);
}

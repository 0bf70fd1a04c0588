// Products of float32 rows with packed float32 weights.
//
// Each element is computed in one order: for each chunk of 64 k's a chain of
// FMAs from 0 in ascending k, and the chunks' results added in ascending order.
// There are two kernels. The skinny ones, for few rows, give each thread one
// chunk of four columns, so that the weight is read once, by contiguous loads
// of 16 bytes; blocks have all chunks of their columns and add the partial
// results in shared memory. The tiled one, for many rows, computes an element
// in one thread.
//
// Skinny, one row: bytes = 4KN, against 4.8 TB/s of an H200, 20.7 bytes a cycle
// and multiprocessor. At a latency of 800 ns 29 KB must be under way in each. A
// thread has 16 to 32 loads of 16 bytes under way (two buffers of 16), 256 to
// 512 bytes. K = N = 1600 is 10,000 threads on 132 multiprocessors: 19 to 38 KB;
// all larger products have more. The first loads are under way before anything
// waits for the rows, which cp.async copies, or for the operands of stages.
//
// Skinny, eight rows: a thread has 32 FMAs and 8/4 loads from shared memory for
// each load of the weight; a quarter of the issue slots and a third of the
// bandwidth of shared memory at full speed. Each block reads the rows, 32K bytes
// through the second-level cache: blocks have more columns than for one row, so
// that this is less than the weight.
//
// Tiled: 2MNK FLOPs; a thread's 8x4 elements take 3 loads of 16 bytes from
// shared memory for 32 FMAs, 4 of 8 cycles.

#include "product.cuh"

// A row of a chunk in shared memory is 4 longer than a chunk, so that threads
// that read the same k of other chunks use other banks.
const u32 ROW = CHUNK_F32 + 4;

// skinny_load reads U rows of a chunk, from row t on.
template <int U>
__device__ inline void skinny_load(float4 (&w)[U], const float4 *at, u32 t, u32 stride) {
#pragma unroll
  for (int i = 0; i < U; i++) w[i] = __ldcs(at + (u64)(t + i) * stride);
}

template <int M, int U>
__device__ inline void skinny_multiply(float (&acc)[M][4], const float4 (&w)[U], const float *x, u32 row) {
#pragma unroll
  for (int i = 0; i < U; i += 4) {
#pragma unroll
    for (int m = 0; m < M; m++) {
      float4 y = *(const float4 *)(x + m * row + i);
      float each[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
      for (int j = 0; j < 4; j++) {
        acc[m][0] = fmaf(each[j], w[i + j].x, acc[m][0]);
        acc[m][1] = fmaf(each[j], w[i + j].y, acc[m][1]);
        acc[m][2] = fmaf(each[j], w[i + j].z, acc[m][2]);
        acc[m][3] = fmaf(each[j], w[i + j].w, acc[m][3]);
      }
    }
  }
}

// skinny computes M rows, the group blockIdx.x % groups, and a.units panels of
// 8 columns. A pass takes a.segment chunks. Shared memory is the rows
// [M][segment][ROW], the partial results [units][segment][M][8], and the totals
// [units][M][8] of earlier passes.
template <int M, int U>
__device__ inline void skinny(const Product &a) {
  extern __shared__ float shared[];
  const u32 chunks = (a.k + CHUNK_F32 - 1) / CHUNK_F32, panels = (a.n + 7) / 8;
  const u32 row0 = blockIdx.x % a.groups * M, rows = min((u32)M, a.rows - row0);
  const u32 panel0 = blockIdx.x / a.groups * a.units, count = min(a.units, panels - panel0);
  float *x = shared, *partial = x + M * a.segment * ROW, *total = partial + a.units * a.segment * M * 8;
  const float4 *w = (const float4 *)a.w + (u64)panel0 * 64 * chunks * 2;

  // The column of output o; one that is stored where o is padding.
  auto column = [&](u32 o) { return min((panel0 + o / (M * 8)) * 8 + o % 8, a.n - 1); };

  for (u32 c0 = 0; c0 == 0 || c0 < chunks; c0 += a.segment) {
    const u32 cs = min(a.segment, chunks - c0), items = count * cs * 2;
    u32 item = threadIdx.x;
    // The first loads of the weight are under way while the rows are copied.
    float4 w0[U], w1[U];
    const float4 *at = w;
    if (item < items) {
      u32 p = item / (cs * 2), rest = item % (cs * 2);
      at = w + ((u64)p * 64 * chunks + c0) * 2 + rest;
      skinny_load(w0, at, 0, chunks * 2);
      skinny_load(w1, at, U, chunks * 2);
    }
    Place place;
    if (threadIdx.x < count * M * 8) place = place_of(a, row0 + min(threadIdx.x / 8 % M, rows - 1), column(threadIdx.x));
    // Copies that nothing waits for until all are under way.
    for (u32 m = 0; m < M; m++) {
      const float *row = row_of(a, row0 + min(m, rows - 1));
      float *to = x + m * a.segment * ROW;
      for (u32 i = threadIdx.x; i < cs * 16; i += blockDim.x) {
        const u32 k = c0 * CHUNK_F32 + i * 4, at = i / 16 * ROW + i % 16 * 4;
        if (a.aligned && k + 4 <= a.k) copy_async(to + at, row + k);
        else *(float4 *)(to + at) = load4(row, k, a.k, false);
      }
    }
    committed();
    arrived<0>();
    __syncthreads();
    for (; item < items; item += blockDim.x) {
      const u32 p = item / (cs * 2), rest = item % (cs * 2);
      const u32 next = item + blockDim.x;
      const float4 *following = at;
      if (next < items) following = w + ((u64)(next / (cs * 2)) * 64 * chunks + c0) * 2 + next % (cs * 2);
      const float *own = x + rest / 2 * ROW;
      float acc[M][4] = {};
#pragma unroll 1
      for (u32 t = 0; t < CHUNK_F32 - 2 * U; t += 2 * U) {
        skinny_multiply<M, U>(acc, w0, own + t, a.segment * ROW);
        skinny_load(w0, at, t + 2 * U, chunks * 2);
        skinny_multiply<M, U>(acc, w1, own + t + U, a.segment * ROW);
        skinny_load(w1, at, t + 3 * U, chunks * 2);
      }
      own += CHUNK_F32 - 2 * U;
      // After the last rows come the first of the next item, if there is one.
      if (next < items) {
        skinny_multiply<M, U>(acc, w0, own, a.segment * ROW);
        skinny_load(w0, following, 0, chunks * 2);
        skinny_multiply<M, U>(acc, w1, own + U, a.segment * ROW);
        skinny_load(w1, following, U, chunks * 2);
      } else {
        skinny_multiply<M, U>(acc, w0, own, a.segment * ROW);
        skinny_multiply<M, U>(acc, w1, own + U, a.segment * ROW);
      }
      at = following;
      float4 *to = (float4 *)(partial + (p * a.segment + rest / 2) * M * 8) + rest % 2;
#pragma unroll
      for (int m = 0; m < M; m++) to[m * 2] = float4{acc[m][0], acc[m][1], acc[m][2], acc[m][3]};
    }
    __syncthreads();
    for (u32 o = threadIdx.x; o < count * M * 8; o += blockDim.x) {
      const u32 p = o / (M * 8), rest = o % (M * 8), m = rest / 8;
      if (o != threadIdx.x) place = place_of(a, row0 + min(m, rows - 1), column(o));
      const float *from = partial + p * a.segment * M * 8 + rest;
      float sum = 0.0f;
      u32 c = 0;
      if (c0 > 0) {
        sum = total[o];
      } else if (cs > 0) {
        sum = from[0];
        c = 1;
      }
#pragma unroll 32
      for (; c < cs; c++) sum += from[c * M * 8];
      if (c0 + cs < chunks) total[o] = sum;
      else if (m < rows && (panel0 + p) * 8 + rest % 8 < a.n) finish(a, place, column(o), sum);
    }
  }
}

extern "C" __global__ void __launch_bounds__(128, 3) product_skinny_1(const __grid_constant__ Product a) { skinny<1, 16>(a); }
extern "C" __global__ void __launch_bounds__(128, 3) product_skinny_2(const __grid_constant__ Product a) { skinny<2, 8>(a); }
extern "C" __global__ void __launch_bounds__(256, 1) product_skinny_4(const __grid_constant__ Product a) { skinny<4, 16>(a); }
extern "C" __global__ void __launch_bounds__(256, 1) product_skinny_8(const __grid_constant__ Product a) { skinny<8, 16>(a); }

// The tiled kernel: a block of 256 threads computes 16*TM rows and 64 columns,
// 16 k's at a time from two buffers in shared memory. A thread has TM rows and 4
// columns.
template <int TM>
__device__ inline void tiled(const Product &a) {
  const int BM = 16 * TM, BK = 16, LOADS = BM / 64;
  const u32 STRIDE = BM + 4;
  __shared__ __align__(16) float xs[2][BK * STRIDE];
  __shared__ __align__(16) float ws[2][BK * 64];
  const u32 chunks = (a.k + CHUNK_F32 - 1) / CHUNK_F32, panels = (a.n + 7) / 8;
  const u32 row0 = blockIdx.x % a.groups * BM, col0 = blockIdx.x / a.groups * 64;
  const u32 tx = threadIdx.x % 16, ty = threadIdx.x / 16;

  // What this thread copies: 4 k's of LOADS rows, and 4 columns of a row of w.
  const u32 kq = threadIdx.x % 4 * 4, mr = threadIdx.x / 4;
  const float *rows[LOADS];
#pragma unroll
  for (int i = 0; i < LOADS; i++) rows[i] = row_of(a, min(row0 + mr + 64 * i, a.rows - 1));
  const u32 wt = threadIdx.x / 16, wq = threadIdx.x % 16;
  const u32 panel = min(col0 / 8 + wq / 2, panels - 1);
  const float *w = (const float *)a.w + (((u64)panel * 64 + wt) * chunks) * 8 + wq % 2 * 4;

  float4 x[LOADS];
  auto fetch = [&](u32 tile, int buffer) {
#pragma unroll
    for (int i = 0; i < LOADS; i++) x[i] = load4(rows[i], tile * BK + kq, a.k, a.aligned);
    copy_async(&ws[buffer][wt * 64 + wq * 4], w + ((u64)(tile % 4 * BK) * chunks + tile / 4) * 8);
    committed();
  };
  auto put = [&](int buffer) {
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
      float *to = &xs[buffer][kq * STRIDE + mr + 64 * i];
      to[0] = x[i].x, to[STRIDE] = x[i].y, to[2 * STRIDE] = x[i].z, to[3 * STRIDE] = x[i].w;
    }
    arrived<0>();
  };

  float acc[TM][4] = {}, total[TM][4] = {};
  const u32 tiles = chunks * 4;
  if (tiles > 0) {
    fetch(0, 0);
    put(0);
  }
  for (u32 tile = 0; tile < tiles; tile++) {
    __syncthreads();
    const int now = tile % 2;
    if (tile + 1 < tiles) fetch(tile + 1, !now);
#pragma unroll
    for (int k = 0; k < BK; k++) {
      float4 y = *(const float4 *)&ws[now][k * 64 + tx * 4];
      float left[TM];
#pragma unroll
      for (int i = 0; i < TM; i += 4) {
        float4 v = *(const float4 *)&xs[now][k * STRIDE + ty * TM + i];
        left[i] = v.x, left[i + 1] = v.y, left[i + 2] = v.z, left[i + 3] = v.w;
      }
#pragma unroll
      for (int i = 0; i < TM; i++) {
        acc[i][0] = fmaf(left[i], y.x, acc[i][0]);
        acc[i][1] = fmaf(left[i], y.y, acc[i][1]);
        acc[i][2] = fmaf(left[i], y.z, acc[i][2]);
        acc[i][3] = fmaf(left[i], y.w, acc[i][3]);
      }
    }
    if (tile % 4 == 3) {
#pragma unroll
      for (int i = 0; i < TM; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
          total[i][j] = tile == 3 ? acc[i][j] : total[i][j] + acc[i][j];
          acc[i][j] = 0.0f;
        }
      }
    }
    if (tile + 1 < tiles) put(!now);
  }

  // Results go through shared memory, so that the stages are one loop.
  float *result = &xs[0][0];
  for (u32 half = 0; half < BM; half += 32) {
    __syncthreads();
    if (ty * TM / 32 * 32 == half) {
#pragma unroll
      for (int i = 0; i < TM; i++)
        *(float4 *)&result[(ty * TM % 32 + i) * 64 + tx * 4] = float4{total[i][0], total[i][1], total[i][2], total[i][3]};
    }
    __syncthreads();
    finish_tile<32, 64, 64, 256>(a, result, row0 + half, col0);
  }
}

extern "C" __global__ void __launch_bounds__(256, 2) product_tiled_64(const __grid_constant__ Product a) { tiled<4>(a); }
extern "C" __global__ void __launch_bounds__(256, 1) product_tiled_128(const __grid_constant__ Product a) { tiled<8>(a); }

// Words is a part of a table that is stored in device memory. Arguments are
// copied when a kernel is launched, so that nothing must wait for the copy.
struct Words {
  u64 *y;
  u64 n;
  u64 word[500];
};

extern "C" __global__ void store_words(const __grid_constant__ Words a) {
  for (u32 i = threadIdx.x; i < a.n; i += blockDim.x) a.y[i] = a.word[i];
}

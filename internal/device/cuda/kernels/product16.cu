// Products of float32 rows with packed weights of 16 bits, on tensor cores. The
// rows are rounded to the weights' type.
//
// The instruction is mma.m16n8k16 with float32 accumulators, for one row as for
// many. The weight is its left operand: 16 columns of the weight and 8 rows
// make a fragment of results, so that up to 8 rows, and one, want no more
// instructions than the weight has fragments. A chunk is 8 instructions, 128
// k's, chained through their accumulator from 0 in ascending k; the chunks'
// results are added in ascending order. Columns of the right operand do not
// affect each other, so that a fragment may be filled with any other rows.
//
// Why chunks of 128: shorter ones cost additions and partial results; longer
// ones leave too few warps for one row: K = N = 1600 is 100 units x 13 chunks,
// 10 warps for each of 132 multiprocessors. The second set of accumulators that
// the tiled kernel needs for the totals limits a warp to 64x32 results, 128
// registers, and a block of 256 threads to 128x128.
//
// Skinny, one row: bytes = 2KN. A warp has one chunk of a unit under way, 8
// loads of 16 bytes a thread, 4 KB, and the next one before it waits for the
// first. 29 KB under way for each multiprocessor (4.8 TB/s, 800 ns) are 8 warps.
// Its instructions are 1 of each 25 cycles.
//
// Tiled: a warp's 64x32 results take 6 loads of 512 bytes from shared memory for
// 16 instructions, 192 bytes each: 1.5 cycles at 128 bytes a cycle, for 2,048
// multiply-adds, so that shared memory allows two thirds of the rate of an
// H200's tensor cores, which is what mma reaches there at most. All loads are of
// 16 bytes a thread and contiguous, without bank conflicts, since both operands
// are stored as fragments. A block of 128x128 reads 32 KB for 64 k's, 64 FLOPs a
// byte: 380 TFLOP/s at 6 TB/s of second-level cache. Where there are too few of
// them for all multiprocessors, blocks of 64 and of 32 columns take their place.
// convert_rows adds 6 bytes for each element of the rows, a tenth of the time at
// 1,024 rows.

#include "product.cuh"

const u32 STEPS = CHUNK_16 / 16;  // instructions of a chunk

template <bool BF>
__device__ inline u32 pair(float lo, float hi) {
  u32 d;
  if (BF) asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(hi), "f"(lo));
  else asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(hi), "f"(lo));
  return d;
}

template <bool BF>
__device__ inline void multiply(float (&c)[4], const uint4 &w, u32 x0, u32 x1) {
  if (BF)
    asm(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(w.x), "r"(w.y), "r"(w.z), "r"(w.w), "r"(x0), "r"(x1));
  else
    asm(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(w.x), "r"(w.y), "r"(w.z), "r"(w.w), "r"(x0), "r"(x1));
}

// skinny computes 8*NR rows, the group blockIdx.x % groups, and a.units units of
// 16 columns. Its warps take chunks of the units in turn. A pass takes a.segment
// chunks. Shared memory is the partial results [units][segment][rows][16] and
// the totals [units][rows][16] of earlier passes.
//
// Rows are read where they are needed, without a barrier before the first
// instruction. Neighbouring warps have other units of one chunk, so that the
// first-level cache has the rows for all but one of them.
template <bool BF, int NR>
__device__ inline void skinny(const Product &a) {
  extern __shared__ float shared[];
  const u32 steps = (a.k + 63) / 64 * 4, chunks = (steps + STEPS - 1) / STEPS, units = (a.n + 15) / 16;
  const u32 row0 = blockIdx.x % a.groups * (8 * NR), rows = min(8u * NR, a.rows - row0);
  const u32 unit0 = blockIdx.x / a.groups * a.units, count = min(a.units, units - unit0);
  const u32 most = min(8u * NR, a.rows);  // rows of a group
  const u32 lane = threadIdx.x % 32, g = lane / 4, j = lane % 4, warps = blockDim.x / 32;
  float *partial = shared, *total = partial + a.units * a.segment * most * 16;
  const uint4 *w = (const uint4 *)a.w + (u64)unit0 * steps * 32 + lane;

  const float *row[NR];
#pragma unroll
  for (int i = 0; i < NR; i++) row[i] = row_of(a, row0 + min(8 * i + g, rows - 1)) + 4 * j;

  auto load = [&](uint4(&v)[STEPS], u32 p, u32 c) {
    const uint4 *at = w + ((u64)p * steps + c * STEPS) * 32;
#pragma unroll
    for (int s = 0; s < (int)STEPS; s++) {
      if (s < 4 || c * STEPS + s < steps) v[s] = __ldcs(at + s * 32);
    }
  };

  // The column of output o; one that is stored where o is padding.
  auto column = [&](u32 o) { return min((unit0 + o / (rows * 16)) * 16 + o % 16, a.n - 1); };

  for (u32 c0 = 0; c0 == 0 || c0 < chunks; c0 += a.segment) {
    const u32 cs = min(a.segment, chunks - c0), tasks = count * cs;
    u32 task = threadIdx.x / 32;
    uint4 next[STEPS];
    if (task < tasks) load(next, task % count, c0 + task / count);
    Place place;
    if (threadIdx.x < count * rows * 16) place = place_of(a, row0 + threadIdx.x / 16 % rows, column(threadIdx.x));
    for (; task < tasks; task += warps) {
      const u32 p = task % count, c = c0 + task / count;
      uint4 now[STEPS];
#pragma unroll
      for (int s = 0; s < (int)STEPS; s++) now[s] = next[s];
      if (task + warps < tasks) load(next, (task + warps) % count, c0 + (task + warps) / count);
      float acc[NR][4] = {};
      if (a.aligned && (c + 1) * CHUNK_16 <= a.k) {
#pragma unroll
        for (int s = 0; s < (int)STEPS; s++) {
#pragma unroll
          for (int i = 0; i < NR; i++) {
            float4 x = *(const float4 *)(row[i] + c * CHUNK_16 + s * 16);
            multiply<BF>(acc[i], now[s], pair<BF>(x.x, x.y), pair<BF>(x.z, x.w));
          }
        }
      } else {
#pragma unroll
        for (int s = 0; s < (int)STEPS; s++) {
          if (c * STEPS + s < steps) {
            const u32 k = c * CHUNK_16 + s * 16 + 4 * j;
#pragma unroll
            for (int i = 0; i < NR; i++) {
              float4 x = load4(row[i] - 4 * j, k, a.k, a.aligned);
              multiply<BF>(acc[i], now[s], pair<BF>(x.x, x.y), pair<BF>(x.z, x.w));
            }
          }
        }
      }
      float *to = partial + (p * a.segment + c - c0) * most * 16 + 2 * g;
#pragma unroll
      for (int i = 0; i < NR; i++) {
        const u32 r = 8 * i + 2 * j;
        if (r < rows) *(float2 *)(to + r * 16) = float2{acc[i][0], acc[i][2]};
        if (r + 1 < rows) *(float2 *)(to + r * 16 + 16) = float2{acc[i][1], acc[i][3]};
      }
    }
    __syncthreads();
    for (u32 o = threadIdx.x; o < count * rows * 16; o += blockDim.x) {
      const u32 p = o / (rows * 16), rest = o % (rows * 16);
      if (o != threadIdx.x) place = place_of(a, row0 + rest / 16, column(o));
      const float *from = partial + p * a.segment * most * 16 + rest;
      float sum = 0.0f;
      u32 c = 0;
      if (c0 > 0) {
        sum = total[o];
      } else if (cs > 0) {
        sum = from[0];
        c = 1;
      }
#pragma unroll 16
      for (; c < cs; c++) sum += from[c * most * 16];
      if (c0 + cs < chunks) total[o] = sum;
      else if ((unit0 + p) * 16 + rest % 16 < a.n) finish(a, place, column(o), sum);
    }
    if (c0 + cs < chunks) __syncthreads();
  }
}

// convert_rows stores the rows for the tiled kernel, as fragments of the right
// operand: [rows/16][K/16][32 lanes][8], with zeros beyond the rows and K. Lane
// 4g+j has k = 4j .. 4j+3 of row g, and then of row g+8.
template <bool BF>
__device__ inline void convert(const Product &a) {
  const u32 steps = (a.k + 63) / 64 * 4, all = (a.rows + 15) / 16 * steps;
  const u32 lane = threadIdx.x % 32, warps = gridDim.x * (blockDim.x / 32);
  for (u32 i = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32; i < all; i += warps) {
    const u32 step = i % steps, row = i / steps * 16 + lane / 4;
    const u32 k = step * 16 + lane % 4 * 4;
    float4 x = {0.0f, 0.0f, 0.0f, 0.0f}, y = x;
    if (row < a.rows) x = load4(row_of(a, row), k, a.k, a.aligned);
    if (row + 8 < a.rows) y = load4(row_of(a, row + 8), k, a.k, a.aligned);
    uint4 v = {pair<BF>(x.x, x.y), pair<BF>(x.z, x.w), pair<BF>(y.x, y.y), pair<BF>(y.z, y.w)};
    ((uint4 *)a.scratch)[(u64)i * 32 + lane] = v;
  }
}

// The tiled kernel: a block computes BANDS bands of 16 rows and UNITS units of
// 16 columns, 64 k's at a time, with STAGES buffers in shared memory. A warp has
// EACH units and 2 bands.
const int STAGES = 4;
const int STRIDE_PAD = 4;  // results of a fragment's rows are in different banks

template <bool BF, int UNITS, int BANDS, int EACH>
__device__ inline void tiled(const Product &a) {
  extern __shared__ uint4 tiles[];
  const int THREADS = UNITS / EACH * (BANDS / 2) * 32, COLS = UNITS * 16, STAGE = (UNITS + BANDS) * 128;
  const u32 steps = (a.k + 63) / 64 * 4, units = (a.n + 15) / 16, bands = (a.rows + 15) / 16;
  const u32 band0 = blockIdx.x % a.groups * BANDS, unit0 = blockIdx.x / a.groups * UNITS;
  const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const u32 wr = warp % (BANDS / 2), wc = warp / (BANDS / 2);  // its place in the block

  // A stage is 4 steps of UNITS units of the weight and then of BANDS bands of
  // rows. Each is 128 contiguous loads; what is beyond the end is copied from
  // the last ones and gives results that are not stored.
  const u32 slot = threadIdx.x % 128, first = threadIdx.x / 128;
  const int TURN = THREADS / 128, COPIES = (UNITS + BANDS) / TURN;
  const uint4 *from[COPIES];
#pragma unroll
  for (int i = 0; i < COPIES; i++) {
    const u32 s = i * TURN + first;
    if (s < UNITS) from[i] = (const uint4 *)a.w + (u64)min(unit0 + s, units - 1) * steps * 32 + slot;
    else from[i] = (const uint4 *)a.scratch + (u64)min(band0 + s - UNITS, bands - 1) * steps * 32 + slot;
  }
  const u32 count = steps / 4;
  auto fetch = [&](u32 it) {
    if (it < count) {
      uint4 *to = tiles + it % STAGES * STAGE + first * 128 + slot;
#pragma unroll
      for (int i = 0; i < COPIES; i++) copy_async(to + i * THREADS, from[i] + it * 128);
    }
    committed();
  };

  float acc[EACH][4][4] = {}, total[EACH][4][4] = {};
#pragma unroll
  for (int i = 0; i < STAGES - 1; i++) fetch(i);
  for (u32 it = 0; it < count; it++) {
    arrived<STAGES - 2>();
    __syncthreads();
    fetch(it + STAGES - 1);
    const uint4 *ws = tiles + it % STAGES * STAGE + wc * EACH * 128 + lane;
    const uint4 *xs = tiles + it % STAGES * STAGE + (UNITS + wr * 2) * 128 + lane;
    uint4 w[2][EACH], x[2][2];
#pragma unroll
    for (int i = 0; i < EACH; i++) w[0][i] = ws[i * 128];
#pragma unroll
    for (int i = 0; i < 2; i++) x[0][i] = xs[i * 128];
#pragma unroll
    for (int s = 0; s < 4; s++) {
      if (s < 3) {
#pragma unroll
        for (int i = 0; i < EACH; i++) w[(s + 1) % 2][i] = ws[i * 128 + (s + 1) * 32];
#pragma unroll
        for (int i = 0; i < 2; i++) x[(s + 1) % 2][i] = xs[i * 128 + (s + 1) * 32];
      }
#pragma unroll
      for (int i = 0; i < EACH; i++) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
          multiply<BF>(acc[i][2 * h], w[s % 2][i], x[s % 2][h].x, x[s % 2][h].y);
          multiply<BF>(acc[i][2 * h + 1], w[s % 2][i], x[s % 2][h].z, x[s % 2][h].w);
        }
      }
    }
    if (it % 2 == 1 || it + 1 == count) {
#pragma unroll
      for (int i = 0; i < EACH; i++) {
#pragma unroll
        for (int h = 0; h < 4; h++) {
#pragma unroll
          for (int e = 0; e < 4; e++) {
            total[i][h][e] = it < 2 ? acc[i][h][e] : total[i][h][e] + acc[i][h][e];
            acc[i][h][e] = 0.0f;
          }
        }
      }
    }
  }
  arrived<0>();
  __syncthreads();

  // Results go through shared memory, so that the stages are one loop and
  // stores are contiguous.
  const int STRIDE = COLS + STRIDE_PAD;
  float *result = (float *)tiles;
#pragma unroll
  for (int i = 0; i < EACH; i++) {
#pragma unroll
    for (int h = 0; h < 4; h++) {
      float *to = result + (wr * 32 + h * 8 + lane % 4 * 2) * STRIDE + (wc * EACH + i) * 16 + lane / 4 * 2;
      *(float2 *)to = float2{total[i][h][0], total[i][h][2]};
      *(float2 *)(to + STRIDE) = float2{total[i][h][1], total[i][h][3]};
    }
  }
  __syncthreads();
  finish_tile<BANDS * 16, COLS, STRIDE, THREADS>(a, result, band0 * 16, unit0 * 16);
}

#define KERNELS(NAME, BF)                                                                                                       \
  extern "C" __global__ void __launch_bounds__(416) product_##NAME##_skinny_8(const __grid_constant__ Product a) { skinny<BF, 1>(a); }  \
  extern "C" __global__ void __launch_bounds__(256) product_##NAME##_skinny_16(const __grid_constant__ Product a) { skinny<BF, 2>(a); } \
  extern "C" __global__ void __launch_bounds__(256, 1) product_##NAME##_skinny_32(const __grid_constant__ Product a) { skinny<BF, 4>(a); } \
  extern "C" __global__ void convert_rows_##NAME(const __grid_constant__ Product a) { convert<BF>(a); }                         \
  extern "C" __global__ void __launch_bounds__(128) product_##NAME##_tiled_32(const __grid_constant__ Product a) { tiled<BF, 2, 4, 1>(a); }  \
  extern "C" __global__ void __launch_bounds__(128) product_##NAME##_tiled_64(const __grid_constant__ Product a) { tiled<BF, 4, 8, 4>(a); }  \
  extern "C" __global__ void __launch_bounds__(256) product_##NAME##_tiled_128(const __grid_constant__ Product a) { tiled<BF, 8, 8, 4>(a); }

KERNELS(bf16, true)
KERNELS(f16, false)

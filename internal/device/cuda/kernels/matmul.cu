// Products of two float32 values with any strides, for operands that are not
// packed weights. The order of each reduction is that of product.cu.

#include "packed.cuh"

const int MAX_BATCH = 6;  // leading axes

struct MatMul {
  float *out;
  const float *a, *b;
  u32 m, n, k, axes;
  u64 am, ak, bk, bn, om, on;  // strides, in elements
  u64 tiles;                   // blocks' worth of work, of all batches
  u32 size[MAX_BATCH];
  u64 sa[MAX_BATCH], sb[MAX_BATCH], so[MAX_BATCH];
};

// tiles computes 16*TM rows and 64 columns in a turn, 16 k's at a time. A thread
// has TM rows and 4 columns.
template <int TM>
__device__ inline void tiles(const MatMul &a) {
  const int BM = 16 * TM, BK = 16;
  const u32 STRIDE = BM + 4;
  __shared__ __align__(16) float xs[BK * STRIDE];
  __shared__ __align__(16) float ys[BK * 68];
  const u32 mt = (a.m + BM - 1) / BM, nt = (a.n + 63) / 64;
  const u32 tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  for (u64 tile = blockIdx.x; tile < a.tiles; tile += gridDim.x) {
    u64 rest = tile / nt;
    const u32 col0 = tile % nt * 64, row0 = rest % mt * BM;
    rest /= mt;
    const float *x = a.a, *y = a.b;
    float *out = a.out;
    for (int d = (int)a.axes - 1; d >= 0; d--) {
      const u64 i = rest % a.size[d];
      rest /= a.size[d];
      x += i * a.sa[d], y += i * a.sb[d], out += i * a.so[d];
    }
    float acc[TM][4] = {}, total[TM][4] = {};
    const u32 padded = (a.k + CHUNK_F32 - 1) / CHUNK_F32 * CHUNK_F32;
    for (u32 k0 = 0; k0 < padded; k0 += BK) {
      __syncthreads();
      // Threads that are neighbours read neighbours, along the axis without gaps.
      for (u32 i = threadIdx.x; i < BM * BK; i += 256) {
        const u32 k = a.ak == 1 ? i % BK : i / BM, m = a.ak == 1 ? i / BK : i % BM;
        float v = 0.0f;
        if (row0 + m < a.m && k0 + k < a.k) v = x[(row0 + m) * a.am + (k0 + k) * a.ak];
        xs[k * STRIDE + m] = v;
      }
      for (u32 i = threadIdx.x; i < 64 * BK; i += 256) {
        const u32 k = a.bk == 1 ? i % BK : i / 64, n = a.bk == 1 ? i / BK : i % 64;
        float v = 0.0f;
        if (col0 + n < a.n && k0 + k < a.k) v = y[(k0 + k) * a.bk + (col0 + n) * a.bn];
        ys[k * 68 + n] = v;
      }
      __syncthreads();
#pragma unroll
      for (int k = 0; k < BK; k++) {
        float4 right = *(const float4 *)&ys[k * 68 + tx * 4];
#pragma unroll
        for (int i = 0; i < TM; i++) {
          const float left = xs[k * STRIDE + ty * TM + i];
          acc[i][0] = fmaf(left, right.x, acc[i][0]);
          acc[i][1] = fmaf(left, right.y, acc[i][1]);
          acc[i][2] = fmaf(left, right.z, acc[i][2]);
          acc[i][3] = fmaf(left, right.w, acc[i][3]);
        }
      }
      if ((k0 + BK) % CHUNK_F32 == 0) {
#pragma unroll
        for (int i = 0; i < TM; i++) {
#pragma unroll
          for (int j = 0; j < 4; j++) {
            total[i][j] = k0 < CHUNK_F32 ? acc[i][j] : total[i][j] + acc[i][j];
            acc[i][j] = 0.0f;
          }
        }
      }
    }
#pragma unroll
    for (int i = 0; i < TM; i++) {
      const u32 row = row0 + ty * TM + i;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const u32 col = col0 + tx * 4 + j;
        if (row < a.m && col < a.n) out[row * a.om + col * a.on] = total[i][j];
      }
    }
  }
}

extern "C" __global__ void __launch_bounds__(256) matmul_16(const __grid_constant__ MatMul a) { tiles<1>(a); }
extern "C" __global__ void __launch_bounds__(256) matmul_64(const __grid_constant__ MatMul a) { tiles<4>(a); }

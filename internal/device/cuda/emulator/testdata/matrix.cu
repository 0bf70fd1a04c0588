// Products of matrices, whose results Go computes again: an f32 tile through
// shared memory, and tensor cores. matrix.ptx is what NVRTC 12.9 makes of this
// file for compute_80 with --fmad=false.

typedef unsigned int u32;
typedef unsigned short u16;
typedef long long i64;

struct Product {
  const float *a; // [m, k]
  const float *b; // [k, n]
  float *c;       // [m, n]
  int m, n, k, pad;
};

#define KERNEL extern "C" __global__ void

// One block computes 64 x 64 elements: m, n are multiples of 64 and k of 16.
KERNEL tile(const __grid_constant__ Product p) {
  __shared__ __align__(16) float as[16][68], bs[16][64];
  int row = blockIdx.y * 64, col = blockIdx.x * 64, t = threadIdx.x;
  int tr = t / 16 * 4, tc = t % 16 * 4;
  float acc[4][4] = {};
  for (int k0 = 0; k0 < p.k; k0 += 16) {
    float4 v = *(const float4 *)(p.a + (i64)(row + t / 4) * p.k + k0 + t % 4 * 4);
    as[t % 4 * 4][t / 4] = v.x;
    as[t % 4 * 4 + 1][t / 4] = v.y;
    as[t % 4 * 4 + 2][t / 4] = v.z;
    as[t % 4 * 4 + 3][t / 4] = v.w;
    *(float4 *)&bs[t / 16][tc] = *(const float4 *)(p.b + (i64)(k0 + t / 16) * p.n + col + tc);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 16; k++) {
      float4 x = *(const float4 *)&as[k][tr], y = *(const float4 *)&bs[k][tc];
      float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) acc[i][j] = fmaf(xs[i], ys[j], acc[i][j]);
    }
    __syncthreads();
  }
  for (int i = 0; i < 4; i++)
    *(float4 *)(p.c + (i64)(row + tr + i) * p.n + col + tc) = make_float4(acc[i][0], acc[i][1], acc[i][2], acc[i][3]);
}

// One warp computes 16 x 8 elements of c = a b + c by one instruction. a and b
// hold 16-bit elements, or floats for tf32; b is [n, k].
struct Fragment {
  const void *a;
  const void *b;
  float *c;
};

#define MMA16(NAME, TYPE)                                                                                              \
  KERNEL NAME(const __grid_constant__ Fragment p) {                                                                    \
    int g = threadIdx.x / 4, q = threadIdx.x % 4 * 2;                                                                  \
    const u16 *a = (const u16 *)p.a, *b = (const u16 *)p.b;                                                            \
    u32 a0 = *(const u32 *)(a + g * 16 + q), a1 = *(const u32 *)(a + (g + 8) * 16 + q);                                \
    u32 a2 = *(const u32 *)(a + g * 16 + q + 8), a3 = *(const u32 *)(a + (g + 8) * 16 + q + 8);                        \
    u32 b0 = *(const u32 *)(b + g * 16 + q), b1 = *(const u32 *)(b + g * 16 + q + 8);                                  \
    float *c0 = p.c + g * 8 + q, *c1 = c0 + 64;                                                                        \
    float d0 = c0[0], d1 = c0[1], d2 = c1[0], d3 = c1[1];                                                              \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, " \
                 "{%0,%1,%2,%3};"                                                                                      \
                 : "+f"(d0), "+f"(d1), "+f"(d2), "+f"(d3)                                                              \
                 : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));                                              \
    c0[0] = d0, c0[1] = d1, c1[0] = d2, c1[1] = d3;                                                                    \
  }
MMA16(mma_bf16, "bf16")
MMA16(mma_f16, "f16")

KERNEL mma_tf32(const __grid_constant__ Fragment p) {
  int g = threadIdx.x / 4, q = threadIdx.x % 4;
  const u32 *a = (const u32 *)p.a, *b = (const u32 *)p.b;
  float *c0 = p.c + g * 8 + q * 2, *c1 = c0 + 64;
  float d0 = c0[0], d1 = c0[1], d2 = c1[0], d3 = c1[1];
  for (int k = 0; k < 16; k += 8)
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d0), "+f"(d1), "+f"(d2), "+f"(d3)
                 : "r"(a[g * 16 + k + q]), "r"(a[(g + 8) * 16 + k + q]), "r"(a[g * 16 + k + q + 4]),
                   "r"(a[(g + 8) * 16 + k + q + 4]), "r"(b[g * 16 + k + q]), "r"(b[g * 16 + k + q + 4]));
  c0[0] = d0, c0[1] = d1, c1[0] = d2, c1[1] = d3;
}

// The same by ldmatrix, through shared memory.
KERNEL ldmatrix_bf16(const __grid_constant__ Fragment p) {
  __shared__ __align__(16) u16 as[16 * 16], bs[16 * 8];
  for (int i = threadIdx.x; i < 256; i += 32) as[i] = ((const u16 *)p.a)[i];
  // b is stored as [k, n], and loaded transposed.
  for (int i = threadIdx.x; i < 128; i += 32) bs[i % 16 * 8 + i / 16] = ((const u16 *)p.b)[i];
  __syncwarp();
  int l = threadIdx.x;
  u32 a0, a1, a2, a3, b0, b1;
  u32 at = (u32)__cvta_generic_to_shared(as + (l % 16) * 16 + l / 16 * 8);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(a0), "=r"(a1), "=r"(a2), "=r"(a3) : "r"(at));
  u32 bt = (u32)__cvta_generic_to_shared(bs + (l % 16) * 8);
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : "=r"(b0), "=r"(b1) : "r"(bt));
  float *c0 = p.c + l / 4 * 8 + l % 4 * 2, *c1 = c0 + 64;
  float d0 = c0[0], d1 = c0[1], d2 = c1[0], d3 = c1[1];
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d0), "+f"(d1), "+f"(d2), "+f"(d3)
               : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  c0[0] = d0, c0[1] = d1, c1[0] = d2, c1[1] = d3;
}

// Functions that are called, and mathematics whose slow ways have tables.
__device__ __noinline__ float twice(float x, int n) {
  float t[4];
  for (int i = 0; i < 4; i++) t[i] = x * i;
  return t[n & 3] + t[2];
}
__device__ __noinline__ double thrice(double x) { return twice((float)x, 1) + x; }

struct Map {
  const float *x;
  float *y;
  int n, what;
};
KERNEL mathematics(const __grid_constant__ Map p) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= p.n) return;
  float x = p.x[i], y = 0;
  switch (p.what) {
  case 0: y = sinf(x); break;
  case 1: y = cosf(x); break;
  case 2: y = expf(x); break;
  case 3: y = logf(x); break;
  case 4: y = tanhf(x); break;
  case 5: y = erff(x); break;
  case 6: y = powf(x, 1.7f); break;
  case 7: y = (float)exp((double)x); break;
  case 8: y = (float)log((double)x); break;
  case 9: y = (float)sin((double)x); break;
  case 10: y = (float)(1.0 / (double)x); break;
  case 11: y = (float)sqrt((double)x); break;
  case 12: y = (float)thrice((double)x); break;
  case 13: y = rsqrtf(x); break;
  case 14: y = fmodf(x, 0.3f); break;
  case 15: y = (float)pow((double)x, 1.7); break;
  }
  p.y[i] = y;
}

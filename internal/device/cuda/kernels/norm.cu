// Normalisations of rows.

#include "elementary.cuh"
#include "index.cuh"
#include "team.cuh"

// A row of at most row_vectors vectors of 4 elements a thread is read once.
constexpr int row_vectors = 2;

struct LayerNorm {
  float *y;
  const float *x, *gamma, *beta;  // gamma and beta may be null
  i64 n;
  float eps;
  u32 vectors;
  i64 y_stride, x_stride, gamma_stride, beta_stride;
  Index rows;
  Strides strides[2];
};

// each calls f(v, i, in) for the vectors of a row that belong to this thread: the
// elements from i on, of which some are in the row. A short row's are in v.
template <bool LONG, class F>
__device__ inline void each(const Row &x, float (&v)[row_vectors][4], float none, F f) {
  if (LONG) {
    for (i64 i = 4 * threadIdx.x; i < x.n; i += 4 * blockDim.x) {
      load4(v[0], x, i, none);
      f(v[0], i);
    }
    return;
  }
#pragma unroll
  for (int j = 0; j < row_vectors; j++) f(v[j], 4 * ((i64)j * blockDim.x + threadIdx.x));
}

template <bool LONG>
__device__ inline void load_row(const Row &x, float (&v)[row_vectors][4], float none) {
  if (LONG) return;
#pragma unroll
  for (int j = 0; j < row_vectors; j++) load4(v[j], x, 4 * ((i64)j * blockDim.x + threadIdx.x), none);
}

// normalise computes the mean, then the sums of differences from it and of their
// squares: the first corrects the mean, whose rounding error matters where the
// mean is large.
template <bool LONG>
__device__ inline void normalise(const LayerNorm &a) {
  __shared__ float shared[3][32];
  i64 row = team_index();
  if (row >= a.rows.n) return;  // a whole warp
  i64 off[2];
  locate(a.rows, a.strides, (u32)row, off);
  Row x = {a.x + off[1], a.x_stride, a.n, a.vectors != 0};
  float v[row_vectors][4];
  load_row<LONG>(x, v, 0.0f);
  float sum = 0.0f;
  each<LONG>(x, v, 0.0f, [&](const float(&u)[4], i64 i) { sum += (u[0] + u[1]) + (u[2] + u[3]); });
  float mean = combine<Sum>(sum, shared[0], 0.0f) / (float)a.n;
  float rest = 0.0f, squares = 0.0f;
  each<LONG>(x, v, 0.0f, [&](float(&u)[4], i64 i) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      float d = i + j < a.n ? u[j] - mean : 0.0f;
      rest += d;
      squares = fmaf(d, d, squares);
    }
  });
  rest = combine<Sum>(rest, shared[1], 0.0f) / (float)a.n;
  float variance = fmaxf(combine<Sum>(squares, shared[2], 0.0f) / (float)a.n - rest * rest, 0.0f);
  float scale = 1.0f / sqrtf(variance + a.eps);
  Row gamma = {a.gamma, a.gamma_stride, a.n, a.vectors != 0}, beta = {a.beta, a.beta_stride, a.n, a.vectors != 0};
  each<LONG>(x, v, 0.0f, [&](float(&u)[4], i64 i) {
    float g[4] = {1.0f, 1.0f, 1.0f, 1.0f}, b[4] = {};
    if (a.gamma) load4(g, gamma, i, 0.0f);
    if (a.beta) load4(b, beta, i, 0.0f);
#pragma unroll
    for (int j = 0; j < 4; j++) u[j] = fmaf((u[j] - mean - rest) * scale, g[j], b[j]);
    store4(u, a.y + off[0], a.y_stride, a.n, a.vectors != 0, i);
  });
}

extern "C" __global__ void __launch_bounds__(max_team) layer_norm(const __grid_constant__ LayerNorm a) { normalise<false>(a); }
extern "C" __global__ void __launch_bounds__(max_team) layer_norm_long(const __grid_constant__ LayerNorm a) { normalise<true>(a); }

struct RMSNorm {
  float *y;
  const float *x, *weight;  // weight may be null
  i64 n;
  float eps, offset;
  u32 vectors, pad;
  i64 y_stride, x_stride, weight_stride;
  Index rows;
  Strides strides[2];
};

template <bool LONG>
__device__ inline void divide_by_root(const RMSNorm &a) {
  __shared__ float shared[32];
  i64 row = team_index();
  if (row >= a.rows.n) return;  // a whole warp
  i64 off[2];
  locate(a.rows, a.strides, (u32)row, off);
  Row x = {a.x + off[1], a.x_stride, a.n, a.vectors != 0};
  float v[row_vectors][4];
  load_row<LONG>(x, v, 0.0f);
  float squares = 0.0f;
  each<LONG>(x, v, 0.0f, [&](const float(&u)[4], i64 i) {
#pragma unroll
    for (int j = 0; j < 4; j++) squares = fmaf(u[j], u[j], squares);
  });
  float scale = 1.0f / sqrtf(combine<Sum>(squares, shared, 0.0f) / (float)a.n + a.eps);
  Row weight = {a.weight, a.weight_stride, a.n, a.vectors != 0};
  each<LONG>(x, v, 0.0f, [&](float(&u)[4], i64 i) {
    float w[4] = {1.0f, 1.0f, 1.0f, 1.0f};
    if (a.weight) load4(w, weight, i, 0.0f);
#pragma unroll
    for (int j = 0; j < 4; j++) u[j] = u[j] * scale * (a.offset + w[j]);
    store4(u, a.y + off[0], a.y_stride, a.n, a.vectors != 0, i);
  });
}

extern "C" __global__ void __launch_bounds__(max_team) rms_norm(const __grid_constant__ RMSNorm a) { divide_by_root<false>(a); }
extern "C" __global__ void __launch_bounds__(max_team) rms_norm_long(const __grid_constant__ RMSNorm a) { divide_by_root<true>(a); }

struct Softmax {
  float *y;
  const float *x;
  i64 n, y_stride, x_stride;
  u32 vectors, pad;
  Index rows;
  Strides strides[2];
};

// With LOG the results are the logarithms.
template <bool LONG, bool LOG>
__device__ inline void soften(const Softmax &a) {
  __shared__ float shared[2][32];
  const float least = __int_as_float(0xff800000);
  i64 row = team_index();
  if (row >= a.rows.n) return;  // a whole warp
  i64 off[2];
  locate(a.rows, a.strides, (u32)row, off);
  Row x = {a.x + off[1], a.x_stride, a.n, a.vectors != 0};
  float v[row_vectors][4];
  load_row<LONG>(x, v, least);
  float most = least;
  each<LONG>(x, v, least, [&](const float(&u)[4], i64 i) { most = fmaxf(most, fmaxf(fmaxf(u[0], u[1]), fmaxf(u[2], u[3]))); });
  most = combine<Max>(most, shared[0], least);
  float sum = 0.0f;
  each<LONG>(x, v, least, [&](float(&u)[4], i64 i) {
    float w[4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
      float e = i + j < a.n ? exp_f32(u[j] - most) : 0.0f;
      if (!LOG) u[j] = e;
      w[j] = e;
    }
    sum += (w[0] + w[1]) + (w[2] + w[3]);
  });
  sum = combine<Sum>(sum, shared[1], 0.0f);
  if (LOG) {
    float log = log_f32(sum);
    each<LONG>(x, v, least, [&](float(&u)[4], i64 i) {
#pragma unroll
      for (int j = 0; j < 4; j++) u[j] = u[j] - most - log;
      store4(u, a.y + off[0], a.y_stride, a.n, a.vectors != 0, i);
    });
    return;
  }
  each<LONG>(x, v, least, [&](float(&u)[4], i64 i) {
#pragma unroll
    for (int j = 0; j < 4; j++) u[j] = (LONG ? exp_f32(u[j] - most) : u[j]) / sum;
    store4(u, a.y + off[0], a.y_stride, a.n, a.vectors != 0, i);
  });
}

extern "C" __global__ void __launch_bounds__(max_team) softmax(const __grid_constant__ Softmax a) { soften<false, false>(a); }
extern "C" __global__ void __launch_bounds__(max_team) softmax_long(const __grid_constant__ Softmax a) { soften<true, false>(a); }
extern "C" __global__ void __launch_bounds__(max_team) log_softmax(const __grid_constant__ Softmax a) { soften<false, true>(a); }
extern "C" __global__ void __launch_bounds__(max_team) log_softmax_long(const __grid_constant__ Softmax a) { soften<true, true>(a); }

struct BatchNorm {
  float *y;
  const float *x, *gamma, *beta, *mean, *variance;
  float eps;
  u32 pad;
  Index index;
  Strides strides[6];
};

// batch_norm subtracts first, so that values near a large mean lose nothing.
extern "C" __global__ void batch_norm(const __grid_constant__ BatchNorm a) {
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[6];
    locate(a.index, a.strides, i, off);
    float scale = a.gamma[off[2]] / sqrtf(a.variance[off[5]] + a.eps);
    a.y[off[0]] = (a.x[off[1]] - a.mean[off[4]]) * scale + a.beta[off[3]];
  }
}

struct CausalMask {
  float *y;
  const float *x;
  const void *start;  // null for none
  u32 wide;           // start is i64
  u32 pad;
  i64 window;         // 0 for none
  i64 queries, keys;
  i64 y_query, x_query;
  Index index;        // keys, then all axes except the queries
  Strides strides[3];
};

// causal_mask has the queries along y of the grid.
extern "C" __global__ void causal_mask(const __grid_constant__ CausalMask a) {
  const float masked = __int_as_float(0xff7fffff);  // the least finite number
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[3], start = 0, key = i - (i64)divide(i, a.index.axis[0]) * a.index.axis[0].size;
    locate(a.index, a.strides, i, off);
    if (a.start) start = a.wide ? ((const i64 *)a.start)[off[2]] : ((const i32 *)a.start)[off[2]];
    if (start < 0) start = 0;
    for (i64 q = blockIdx.y; q < a.queries; q += gridDim.y) {
      i64 last = a.keys - a.queries + q + 1, first = start;
      if (last < 0) last = 0;
      if (a.window > 0 && first < last - a.window) first = last - a.window;
      i64 at = off[1] + q * a.x_query;
      a.y[off[0] + q * a.y_query] = key >= first && key < last ? a.x[at] : masked;
    }
  }
}

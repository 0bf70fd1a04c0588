// Reductions over axes, and pooling.

#include "index.cuh"
#include "team.cuh"

struct Reduce {
  float *y;
  const float *x;
  u32 kind;  // 0 for sum, 1 for mean, 2 for max
  u32 team;  // threads that reduce a row
  Index reduced;  // its elements in row-major order
  Strides stride;
  Index rows;
  Strides strides[2];
};

// result is what kind stores.
__device__ inline float result_of(const Reduce &a, double sum) { return a.kind == 1 ? sum / a.reduced.n : sum; }

// reduce adds in float64: a sum of numbers of both signs can be much smaller than
// they are.
extern "C" __global__ void __launch_bounds__(max_team) reduce(const __grid_constant__ Reduce a) {
  __shared__ double sums[32];
  __shared__ float mosts[32];
  const float least = __int_as_float(0xff800000);
  i64 row = team_index();
  if (row >= a.rows.n) return;  // a whole warp
  i64 off[2];
  locate(a.rows, a.strides, (u32)row, off);
  const float *x = a.x + off[1];
  float result;
  if (a.kind == 2) {
    float most = least;
    for (u32 i = threadIdx.x; i < a.reduced.n; i += blockDim.x) most = Max::of(most, x[offset(a.reduced, a.stride, i)]);
    result = combine<Max>(most, mosts, least);
  } else {
    double sum = 0.0;
    for (u32 i = threadIdx.x; i < a.reduced.n; i += blockDim.x) sum += x[offset(a.reduced, a.stride, i)];
    sum = combine<Sum>(sum, sums, 0.0);
    result = result_of(a, sum);
  }
  if (threadIdx.x == 0) a.y[off[0]] = result;
}

// fold combines the values of the threads of a column, 32 of them, in the order of
// combine. All threads of the block call it, and the first of a column gets the
// result.
template <class Op, class T>
__device__ inline T fold(T v, T (&shared)[32][33]) {
  __syncthreads();  // the last call has read shared
  shared[threadIdx.y][threadIdx.x] = v;
#pragma unroll
  for (u32 o = 16; o > 0; o >>= 1) {
    __syncthreads();
    if (threadIdx.y < o) shared[threadIdx.y][threadIdx.x] = v = Op::of(v, shared[threadIdx.y + o][threadIdx.x]);
  }
  return v;
}

// column reduces a column as a team of a.team threads reduces a row, 32 of them at
// a time.
template <class Op, class T>
__device__ inline T column(const Reduce &a, const float *x, bool exists, T none) {
  __shared__ T shared[32][33];
  __shared__ T warps[32][33];
  T all = none;
  for (u32 w = 0; w < a.team / 32; w++) {
    T v = none;
    if (exists)
      for (u32 i = w * 32 + threadIdx.y; i < a.reduced.n; i += a.team) v = Op::of(v, (T)x[offset(a.reduced, a.stride, i)]);
    all = fold<Op, T>(v, shared);
    if (threadIdx.y == 0) warps[w][threadIdx.x] = all;
  }
  if (a.team == 32) return all;
  __syncthreads();
  return fold<Op, T>(threadIdx.y < a.team / 32 ? warps[threadIdx.y][threadIdx.x] : none, shared);
}

// reduce_columns is reduce where adjacent outputs reduce adjacent elements: a block
// of 32 x 32 threads reduces 32 columns.
extern "C" __global__ void __launch_bounds__(max_team) reduce_columns(const __grid_constant__ Reduce a) {
  u32 row = blockIdx.x * 32 + threadIdx.x;
  bool exists = row < a.rows.n;
  i64 off[2];
  locate(a.rows, a.strides, exists ? row : 0, off);
  const float *x = a.x + off[1];
  float result;
  if (a.kind == 2) {
    result = column<Max, float>(a, x, exists, __int_as_float(0xff800000));
  } else {
    result = result_of(a, column<Sum, double>(a, x, exists, 0.0));
  }
  if (exists && threadIdx.y == 0) a.y[off[0]] = result;
}

struct MaxPool {
  float *y;
  const float *x;
  i32 kernel[2], stride[2], pad[2];
  i32 size[2];        // of x: height and width
  i64 x_stride[2];
  Index index;        // width, height, then the other axes
  Strides strides[2]; // 0 for x along width and height
};

extern "C" __global__ void max_pool2d(const __grid_constant__ MaxPool a) {
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[2];
    locate(a.index, a.strides, i, off);
    u32 row = divide(i, a.index.axis[0]), image = divide(row, a.index.axis[1]);
    i32 top = (i32)(row - image * a.index.axis[1].size) * a.stride[0] - a.pad[0];
    i32 left = (i32)(i - row * a.index.axis[0].size) * a.stride[1] - a.pad[1];
    float most = __int_as_float(0xff800000);
    for (i32 h = max(top, 0); h < min(top + a.kernel[0], a.size[0]); h++)
      for (i32 w = max(left, 0); w < min(left + a.kernel[1], a.size[1]); w++)
        most = Max::of(most, a.x[off[1] + h * a.x_stride[0] + w * a.x_stride[1]]);
    a.y[off[0]] = most;
  }
}

// Kernels that read elements at indices.

#include "index.cuh"
#include "packed.cuh"
#include "status.cuh"

// Indices are i32 or i64, and where to report one out of range.
struct Indices {
  const void *at;
  i64 limit;
  Status *status;
  i32 group;
  u32 wide;  // i64
};

// find is index i, or -1 for one out of range, which one thread reports.
__device__ inline i64 find(const Indices &x, i64 i, bool reports) {
  i64 r = x.wide ? ((const i64 *)x.at)[i] : ((const i32 *)x.at)[i];
  if (r >= 0 && r < x.limit) return r;
  if (reports) report(x.status, status_index, x.group, r, x.limit);
  return -1;
}

struct Embedding {
  float *y;
  const void *table;
  Indices indices;
  u32 elem;      // element type of the table
  u32 vectors;   // rows of f32 without gaps, aligned to 4 elements, of which width is a multiple
  i64 width, y_stride, row_stride, stride;
  Index index;   // of the indices
  Strides strides[2];  // y's rows, indices
};

// embedding copies a row of the table for each block along x of the grid, a part
// of it for each along y. The row of an index out of range is zeros: kernels that
// are queued behind read it.
extern "C" __global__ void embedding(const __grid_constant__ Embedding a) {
  i64 off[2];
  locate(a.index, a.strides, blockIdx.x, off);
  i64 row = find(a.indices, off[1], blockIdx.y == 0 && threadIdx.x == 0);
  float *y = a.y + off[0];
  i64 first = (i64)blockIdx.y * blockDim.x + threadIdx.x, step = (i64)gridDim.y * blockDim.x;
  if (row < 0) {
    for (i64 i = first; i < a.width; i += step) y[i * a.y_stride] = 0.0f;
    return;
  }
  if (a.vectors) {
    const float *x = (const float *)a.table + row * a.row_stride;
    for (i64 i = 4 * first; i < a.width; i += 4 * step) *(float4 *)(y + i) = *(const float4 *)(x + i);
    return;
  }
  for (i64 i = first; i < a.width; i += step) {
    i64 at = row * a.row_stride + i * a.stride;
    float v;
    switch (a.elem) {
      case ELEM_F16: v = f16_to_f32(((const u16 *)a.table)[at]); break;
      case ELEM_BF16: v = bf16_to_f32(((const u16 *)a.table)[at]); break;
      default: v = ((const float *)a.table)[at];
    }
    y[i * a.y_stride] = v;
  }
}

struct EmbeddingPacked {
  float *y;
  const void *table;
  Indices indices;
  u32 elem;
  u32 k;  // rows of the packed weight
  u32 transposed;  // rows of the table are the columns of the packed weight
  u32 width;
  i64 y_stride;
  Index index;
  Strides strides[2];
};

extern "C" __global__ void embedding_packed(const __grid_constant__ EmbeddingPacked a) {
  i64 off[2];
  locate(a.index, a.strides, blockIdx.x, off);
  i64 row = find(a.indices, off[1], blockIdx.y == 0 && threadIdx.x == 0);
  u32 step = gridDim.y * blockDim.x;
  for (u32 i = blockIdx.y * blockDim.x + threadIdx.x; i < a.width; i += step)
    a.y[off[0] + i * a.y_stride] = row < 0 ? 0.0f : packed_at(a.table, a.elem, a.k, a.transposed ? i : row, a.transposed ? row : i);
}

struct Pick {
  float *y;
  const float *x;
  Indices indices;
  i64 x_stride;  // along the axis of the indices
  Index index;
  Strides strides[3];  // y, x, indices
};

extern "C" __global__ void pick(const __grid_constant__ Pick a) {
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[3];
    locate(a.index, a.strides, i, off);
    i64 at = find(a.indices, off[2], true);
    a.y[off[0]] = at < 0 ? 0.0f : a.x[off[1] + at * a.x_stride];
  }
}

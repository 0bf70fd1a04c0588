// Kernels that move elements and compute nothing.

#include "index.cuh"

struct FillWords {
  u32 *y;
  i64 n;
  u32 value;
  u32 pad;
};

// fill_words stores one 32-bit word n times.
extern "C" __global__ void fill_words(const __grid_constant__ FillWords a) {
  for (i64 i = global_thread(); i < a.n; i += all_threads()) a.y[i] = a.value;
}

struct CopyStrided {
  void *y;
  const void *x;
  Index index;  // of units
  Strides strides[2];
};

// copy copies units: elements, or several that are adjacent in both operands.
template <class T>
__device__ inline void copy(const CopyStrided &a) {
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[2];
    locate(a.index, a.strides, i, off);
    ((T *)a.y)[off[0]] = ((const T *)a.x)[off[1]];
  }
}

extern "C" __global__ void copy_1(const __grid_constant__ CopyStrided a) { copy<u8>(a); }
extern "C" __global__ void copy_2(const __grid_constant__ CopyStrided a) { copy<u16>(a); }
extern "C" __global__ void copy_4(const __grid_constant__ CopyStrided a) { copy<u32>(a); }
extern "C" __global__ void copy_8(const __grid_constant__ CopyStrided a) { copy<u64>(a); }
extern "C" __global__ void copy_16(const __grid_constant__ CopyStrided a) { copy<uint4>(a); }

// Transpose has two axes of which one is without gaps in y and the other in x.
struct Transpose {
  void *y;
  const void *x;
  Axis tiles[2];     // along the axis of y, and that of x
  u32 size[2];       // elements along them
  i64 x_stride;      // of x along the axis of y
  i64 y_stride;      // of y along the axis of x
  Index index;       // the other axes
  Strides strides[2];
};

constexpr int tile = 32;

// transpose copies a tile a block, of tile x 8 threads, through shared memory, so
// that it reads and writes adjacent elements.
template <class T>
__device__ inline void transpose(const Transpose &a) {
  __shared__ T part[tile][tile + 1];
  u32 rest = divide(blockIdx.x, a.tiles[0]);
  u32 first_y = (blockIdx.x - rest * a.tiles[0].size) * tile;
  u32 other = divide(rest, a.tiles[1]);
  u32 first_x = (rest - other * a.tiles[1].size) * tile;
  i64 off[2];
  locate(a.index, a.strides, other, off);
  T *y = (T *)a.y + off[0];
  const T *x = (const T *)a.x + off[1];
  for (u32 k = threadIdx.y; k < tile; k += blockDim.y) {
    u32 i = first_y + k, j = first_x + threadIdx.x;
    if (i < a.size[0] && j < a.size[1]) part[k][threadIdx.x] = x[i * a.x_stride + j];
  }
  __syncthreads();
  for (u32 k = threadIdx.y; k < tile; k += blockDim.y) {
    u32 i = first_y + threadIdx.x, j = first_x + k;
    if (i < a.size[0] && j < a.size[1]) y[j * a.y_stride + i] = part[threadIdx.x][k];
  }
}

extern "C" __global__ void transpose_1(const __grid_constant__ Transpose a) { transpose<u8>(a); }
extern "C" __global__ void transpose_2(const __grid_constant__ Transpose a) { transpose<u16>(a); }
extern "C" __global__ void transpose_4(const __grid_constant__ Transpose a) { transpose<u32>(a); }
extern "C" __global__ void transpose_8(const __grid_constant__ Transpose a) { transpose<u64>(a); }

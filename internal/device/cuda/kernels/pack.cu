// Packing of weights into the layout of products.

#include "packed.cuh"

// Pack is the arguments: source rows from..to of a row-major [K, N], or [N, K]
// where transposed, at src.
struct Pack {
  void *dst;
  const void *src;
  u32 k, n, from, to, end, width;  // end and width: with padding, end is to unless these are the last rows
  u32 transposed;
  u32 pad;
};

// pack stores an element in each turn: reads are contiguous, and padding gets zeros.
template <typename T>
__device__ inline void pack(const Pack &a) {
  const u32 length = a.transposed ? a.k : a.n;  // of a source row
  const u32 chunks = (a.k + 63) / 64;
  for (u32 r = a.from + blockIdx.y; r < a.end; r += gridDim.y) {
    for (u32 c = blockIdx.x * blockDim.x + threadIdx.x; c < a.width; c += gridDim.x * blockDim.x) {
      T v = 0;
      if (r < a.to && c < length) v = ((const T *)a.src)[(u64)(r - a.from) * length + c];
      const u32 k = a.transposed ? c : r, n = a.transposed ? r : c;
      ((T *)a.dst)[sizeof(T) == 4 ? packed_f32(k, n, chunks) : packed_16(k, n, chunks * 4)] = v;
    }
  }
}

extern "C" __global__ void pack_32(const __grid_constant__ Pack a) { pack<u32>(a); }
extern "C" __global__ void pack_16(const __grid_constant__ Pack a) { pack<u16>(a); }

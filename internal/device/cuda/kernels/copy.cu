// Kernels that move elements and compute nothing.

#include "common.cuh"

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

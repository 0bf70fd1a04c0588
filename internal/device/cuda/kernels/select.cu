// The largest elements of rows.

#include "select.cuh"

struct ArgMax {
  i32 *y;
  Lines x;
};

// arg_max has a block of threads for each row.
extern "C" __global__ void __launch_bounds__(select_threads) arg_max(const __grid_constant__ ArgMax a) {
  __shared__ Work s;
  for (i64 row = blockIdx.x; row < a.x.rows; row += gridDim.x) {
    Row r = {line(a.x, row), a.x.n, a.x.stride};
    Best b = none_best();
    each<false>(r, [&](i64 i, float v, u64) { see(b, v, i); });
    b = best_of(s, b);
    if (threadIdx.x == 0) a.y[row] = b.index;
  }
}

struct TopK {
  void *y; // contiguous
  u64 *scratch;
  Lines x;
  i64 k, sorted; // the power of two from k on
  i64 indices;   // or values
};

// top_k has a block of threads for each row.
extern "C" __global__ void __launch_bounds__(select_threads) top_k(const __grid_constant__ TopK a) {
  __shared__ Work s;
  u64 *codes = a.scratch + blockIdx.x * a.sorted;
  for (i64 row = blockIdx.x; row < a.x.rows; row += gridDim.x) {
    Row r = {line(a.x, row), a.x.n, a.x.stride, nullptr, ~0ull, false, false, 0.0, 0.0};
    if (a.k < a.x.n) r.last = find(s, r, a.k).code;
    if (threadIdx.x == 0) s.terms = 0;
    for (i64 i = a.k + threadIdx.x; i < a.sorted; i += blockDim.x) codes[i] = ~0ull;
    __syncthreads();
    each<false>(r, [&](i64 i, float v, u64) {
      u64 code = code_of(v, i);
      if (code <= r.last) codes[atomicAdd(&s.terms, 1u)] = code;
    });
    sort(codes, a.sorted);
    for (i64 i = threadIdx.x; i < a.k; i += blockDim.x) {
      i32 at = (i32)(u32)codes[i];
      if (a.indices)
        ((i32 *)a.y)[row * a.k + i] = at;
      else
        ((float *)a.y)[row * a.k + i] = r.at(at);
    }
  }
}

// Rotary position embedding.

#include "index.cuh"

struct RoPE {
  float *y;
  const float *x, *cos, *sin;
  i64 half;                             // rotated pairs of a row
  i64 y_step, x_step, cos_step, sin_step;  // from element to element of a row
  u32 interleaved, pad;
  Index index;  // the pairs of a row and the elements after them, then all other axes
  Strides strides[4];
};

extern "C" __global__ void rope(const __grid_constant__ RoPE a) {
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[4], k = i - (i64)divide(i, a.index.axis[0]) * a.index.axis[0].size;
    locate(a.index, a.strides, i, off);
    const float *x = a.x + off[1];
    float *y = a.y + off[0];
    if (k >= a.half) {
      y[(k + a.half) * a.y_step] = x[(k + a.half) * a.x_step];
      continue;
    }
    i64 first = a.interleaved ? 2 * k : k, second = a.interleaved ? 2 * k + 1 : k + a.half;
    float u = x[first * a.x_step], v = x[second * a.x_step];
    float c = a.cos[off[2] + k * a.cos_step], s = a.sin[off[3] + k * a.sin_step];
    y[first * a.y_step] = fmaf(u, c, -(v * s));
    y[second * a.y_step] = fmaf(v, c, u * s);
  }
}

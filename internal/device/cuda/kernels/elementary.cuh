// Elementary functions of float32, accurate to about two units in the last
// place. They use only operations that IEEE 754 defines to the last bit, so that
// every device computes the same bits; the functions of the CUDA library use
// the approximations of the hardware. The polynomials are minimax fits of the
// relative error.

#pragma once

#include "common.cuh"

__device__ inline float power_of_two(i32 n) { return __int_as_float((n + 127) << 23); }

// exp_f32 is e^x: 2^n e^r with |r| at most ln(2)/2.
__device__ inline float exp_f32(float x) {
  float c = fminf(fmaxf(x, -104.0f), 89.0f);  // from 0 to infinity, rounded
  float shifted = fmaf(c, 1.44269504f, 12582912.0f);  // 1.5*2^23: rounds to an integer
  i32 n = __float_as_int(shifted) - 0x4b400000;
  float k = shifted - 12582912.0f;
  float r = fmaf(k, -0.693145752f, c);  // ln(2) in two parts; k times the first is exact
  r = fmaf(k, -1.42860677e-6f, r);
  float p = 1.381459878757596e-3f;
  p = fmaf(p, r, 8.368716575205326e-3f);
  p = fmaf(p, r, 4.166838899254799e-2f);
  p = fmaf(p, r, 0.1666652113199234f);
  p = fmaf(p, r, 0.4999999403953552f);
  p = fmaf(p * r, r, r) + 1.0f;
  i32 half = n >> 1;  // 2^n itself may be out of range
  float y = p * power_of_two(half) * power_of_two(n - half);
  return x != x ? x : y;
}

// tanh_f32 is the hyperbolic tangent.
__device__ inline float tanh_f32(float x) {
  float a = fabsf(x);
  if (a < 0.6f) {
    float z = x * x;
    float p = -5.895158275961876e-3f;
    p = fmaf(p, z, 2.0795971155166626e-2f);
    p = fmaf(p, z, -5.3783830255270004e-2f);
    p = fmaf(p, z, 0.13331924378871918f);
    p = fmaf(p, z, -0.33333298563957214f);
    return fmaf(p * z, x, x);
  }
  float y = 1.0f - 2.0f / (exp_f32(2.0f * a) + 1.0f);
  return copysignf(y, x);
}

// log_f32 is the natural logarithm of a normal number that is not negative: of
// 2^k m with m from sqrt(1/2) to sqrt(2), as FreeBSD's msun computes it.
__device__ inline float log_f32(float x) {
  if (!(x < __int_as_float(0x7f800000))) return x;  // infinity or NaN
  i32 bits = __float_as_int(x) - 0x3f3504f3;
  float k = (float)(bits >> 23);
  float f = __int_as_float((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
  float s = f / (2.0f + f), z = s * s, w = z * z;
  float odd = w * fmaf(w, 0.24279078841209412f, 0.40000972151756287f);
  float even = z * fmaf(w, 0.284987866878509521f, 0.66666662693023682f);
  float half = 0.5f * f * f;
  float rest = fmaf(s, half + (even + odd), k * 9.0580006144e-06f);
  return fmaf(k, 0.69313812256f, f - (half - rest));
}

// sigmoid_times is v/(1+e^-x). It needs no e^x that overflows.
__device__ inline float sigmoid_times(float v, float x) {
  float e = exp_f32(-fabsf(x));
  return (x < 0.0f ? v * e : v) / (1.0f + e);
}

// normal_tail is the probability that a standard normal variable exceeds a, which
// is not negative.
__device__ inline float normal_tail(float a) {
  float t = fminf(a, 14.5f);  // 0, rounded
  float s = (t - 4.0f) / (t + 4.0f);
  float p = 1.1390617146389559e-05f;
  p = fmaf(p, s, -4.812768747797236e-05f);
  p = fmaf(p, s, -0.00017350631242152303f);
  p = fmaf(p, s, 0.0006426863255910575f);
  p = fmaf(p, s, 0.0005030641332268715f);
  p = fmaf(p, s, -0.00849324744194746f);
  p = fmaf(p, s, 0.030865484848618507f);
  p = fmaf(p, s, -0.07170730084180832f);
  p = fmaf(p, s, 0.1243792176246643f);
  p = fmaf(p, s, -0.17039772868156433f);
  p = fmaf(p, s, 0.09441064298152924f);
  float z = -0.5f * t;
  float hi = z * t, lo = fmaf(z, t, -hi);
  float e = exp_f32(hi);
  return fmaf(e, lo, e) * p;
}

// The pointwise operators on one element. The kernels of pointwise.cu and the
// stages of products compute them here, so that both give the same bits.

#pragma once

#include "elementary.cuh"

// The codes of operators: Code of pointwise.go has the same numbers. Those from
// 32 on have two operands.
enum : u32 {
  CODE_COPY = 0,
  CODE_RELU = 1,
  CODE_GELU = 2,
  CODE_GELU_TANH = 3,
  CODE_SILU = 4,
  CODE_QUICK_GELU = 5,
  CODE_TANH = 6,
  CODE_EXP = 7,
  CODE_SQRT = 8,

  CODE_ADD = 32,
  CODE_SUB = 33,
  CODE_MUL = 34,
  CODE_DIV = 35,
};

__device__ inline float gelu(float x) {
  float q = normal_tail(fabsf(x));
  return x * (x < 0.0f ? q : 1.0f - q);
}

// gelu_tanh is 0.5x(1+tanh(u)), which is x/(1+e^-2u).
__device__ inline float gelu_tanh(float x) {
  float u = x * fmaf(0.0713548162726f * x, x, 1.59576912161f);
  return sigmoid_times(x, u);
}

// apply_unary computes an operator of one operand; p is its parameter, where it has one.
__device__ inline float apply_unary(u32 code, float x, float p) {
  switch (code) {
    case CODE_RELU: return x <= 0.0f ? 0.0f : x;
    case CODE_GELU: return gelu(x);
    case CODE_GELU_TANH: return gelu_tanh(x);
    case CODE_SILU: return sigmoid_times(x, x);
    case CODE_QUICK_GELU: return sigmoid_times(x, 1.702f * x);
    case CODE_TANH: return tanh_f32(x);
    case CODE_EXP: return exp_f32(x);
    case CODE_SQRT: return sqrtf(x);
  }
  return x;
}

__device__ inline float apply_binary(u32 code, float x, float y) {
  switch (code) {
    case CODE_ADD: return x + y;
    case CODE_SUB: return x - y;
    case CODE_MUL: return x * y;
    case CODE_DIV: return x / y;
  }
  return x;
}

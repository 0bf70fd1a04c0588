// Kernels of pointwise operators.

#include "index.cuh"
#include "pointwise.cuh"

struct Unary {
  float *y;
  const float *x;
  u32 code;
  float param;
  i64 n;         // of unary_vectors: elements
  u32 repeated;  // of unary_vectors: bit 1: x has one element along the innermost axis
  u32 pad;
  Index index;
  Strides strides[2];
};

struct Binary {
  float *y;
  const float *a, *b;
  u32 code;
  u32 repeated;  // of binary_vectors: bits 1 and 2: a and b have one element along the innermost axis
  i64 n;         // of binary_vectors: elements
  Index index;
  Strides strides[3];
};

// unary and binary compute one element a thread at a time, of any layout.
extern "C" __global__ void unary(const __grid_constant__ Unary a) {
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[2];
    locate(a.index, a.strides, i, off);
    a.y[off[0]] = apply_unary(a.code, a.x[off[1]], a.param);
  }
}

extern "C" __global__ void binary(const __grid_constant__ Binary a) {
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[3];
    locate(a.index, a.strides, i, off);
    a.y[off[0]] = apply_binary(a.code, a.a[off[1]], a.b[off[2]]);
  }
}

// load is 4 elements, the same one if it is repeated, or only the first ones.
__device__ inline void load(float (&v)[4], const float *p, bool repeated, i64 left) {
  if (!repeated && left >= 4) {
    float4 w = *(const float4 *)p;
    v[0] = w.x, v[1] = w.y, v[2] = w.z, v[3] = w.w;
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; j++) v[j] = j < left ? p[repeated ? 0 : j] : 0.0f;
}

__device__ inline void store(float *p, const float (&v)[4], i64 left) {
  if (left >= 4) {
    *(float4 *)p = make_float4(v[0], v[1], v[2], v[3]);
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; j++)
    if (j < left) p[j] = v[j];
}

// The same for operands whose innermost axis has no gaps: a thread computes 4
// elements, and index counts these. Only the last of a single axis can be fewer.
extern "C" __global__ void unary_vectors(const __grid_constant__ Unary a) {
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[2], left = a.n - 4 * (i64)i;
    locate(a.index, a.strides, i, off);
    float x[4];
    load(x, a.x + off[1], a.repeated & 2, left);
#pragma unroll
    for (int j = 0; j < 4; j++) x[j] = apply_unary(a.code, x[j], a.param);
    store(a.y + off[0], x, left);
  }
}

extern "C" __global__ void binary_vectors(const __grid_constant__ Binary a) {
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[3], left = a.n - 4 * (i64)i;
    locate(a.index, a.strides, i, off);
    float x[4], y[4];
    load(x, a.a + off[1], a.repeated & 2, left);
    load(y, a.b + off[2], a.repeated & 4, left);
#pragma unroll
    for (int j = 0; j < 4; j++) x[j] = apply_binary(a.code, x[j], y[j]);
    store(a.y + off[0], x, left);
  }
}

// Select is where: x where cond is true, z elsewhere.
struct Select {
  void *y;
  const u8 *cond;
  const void *x, *z;
  Index index;
  Strides strides[4];
};

template <class T>
__device__ inline void select(const Select &a) {
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[4];
    locate(a.index, a.strides, i, off);
    ((T *)a.y)[off[0]] = a.cond[off[1]] ? ((const T *)a.x)[off[2]] : ((const T *)a.z)[off[3]];
  }
}

extern "C" __global__ void where_1(const __grid_constant__ Select a) { select<u8>(a); }
extern "C" __global__ void where_4(const __grid_constant__ Select a) { select<u32>(a); }
extern "C" __global__ void where_8(const __grid_constant__ Select a) { select<u64>(a); }

struct Equal {
  u8 *y;
  const void *a, *b;
  Index index;
  Strides strides[3];
};

template <class T>
__device__ inline void equal(const Equal &a) {
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[3];
    locate(a.index, a.strides, i, off);
    a.y[off[0]] = ((const T *)a.a)[off[1]] == ((const T *)a.b)[off[2]];
  }
}

extern "C" __global__ void equal_f32(const __grid_constant__ Equal a) { equal<float>(a); }
extern "C" __global__ void equal_i32(const __grid_constant__ Equal a) { equal<i32>(a); }
extern "C" __global__ void equal_i64(const __grid_constant__ Equal a) { equal<i64>(a); }

// The types of elements: plan.DType has the same numbers.
enum : u32 { F32 = 1, I32 = 4, I64 = 5, BOOL = 6 };

struct Cast {
  void *y;
  const void *x;
  u32 from, to;
  Index index;
  Strides strides[2];
};

// truncated is v towards zero, the nearest of lo and hi outside of them, 0 for
// NaN. past is the first float above hi; lo is a float.
template <class T>
__device__ inline T truncated(float v, T lo, T hi, float past) {
  if (v >= past) return hi;
  if (!(v > -past)) return v != v ? 0 : lo;
  return (T)v;
}

__device__ inline void cast_float(const Cast &a, i64 to, float v) {
  switch (a.to) {
    case F32: ((float *)a.y)[to] = v; break;
    case I32: ((i32 *)a.y)[to] = truncated<i32>(v, -0x7fffffff - 1, 0x7fffffff, 2147483648.0f); break;
    case I64: ((i64 *)a.y)[to] = truncated<i64>(v, -0x7fffffffffffffffll - 1, 0x7fffffffffffffffll, 9223372036854775808.0f); break;
    case BOOL: ((u8 *)a.y)[to] = v != 0.0f; break;
  }
}

// cast_int rounds twice to float32, as the reference does: to float64 first.
__device__ inline void cast_int(const Cast &a, i64 to, i64 v) {
  switch (a.to) {
    case F32: ((float *)a.y)[to] = (float)(double)v; break;
    case I32: ((i32 *)a.y)[to] = (i32)v; break;
    case I64: ((i64 *)a.y)[to] = v; break;
    case BOOL: ((u8 *)a.y)[to] = v != 0; break;
  }
}

extern "C" __global__ void cast(const __grid_constant__ Cast a) {
  for (u32 i = global_thread(); i < a.index.n; i += all_threads()) {
    i64 off[2];
    locate(a.index, a.strides, i, off);
    switch (a.from) {
      case F32: cast_float(a, off[0], ((const float *)a.x)[off[1]]); break;
      case I32: cast_int(a, off[0], ((const i32 *)a.x)[off[1]]); break;
      case I64: cast_int(a, off[0], ((const i64 *)a.x)[off[1]]); break;
      case BOOL: cast_int(a, off[0], ((const u8 *)a.x)[off[1]] != 0); break;
    }
  }
}

// Sampling: the token that the reference draws, which adds float64 weights one
// after the other.
//
// The order of the reference's additions is sequential. Here weights are
// integers, in units so small that the sum of all fits 63 bits; their sums differ
// from the reference's by less than a bound. Where the token does not depend on
// a difference within the bound it is the reference's. Otherwise, which is rare,
// the reference's additions are done as they are.

#include "select.cuh"

struct Sample {
  i32 *y;
  u64 *scratch; // for each block: n weights, and as many codes as sorted
  const float *temperature, *top_p;
  const i32 *top_k;
  const i64 *seed;
  const void *counter;
  Lines x;
  i64 temperature_stride, top_p_stride, top_k_stride, seed_stride, counter_stride;
  i64 sorted; // the power of two from n on
  u64 slack;  // added to the bound
  i32 unit;   // a weight of 1 is 2^unit
  i32 counter_wide;
};

// expDet of package op: e^x for x <= 0, rounded after each operation.
__device__ inline double exp_det(double x) {
  if (x < -745.0) return 0.0;
  double k = floor(__dadd_rn(__dmul_rn(x, 1.44269504088896340735992468100189214), 0.5));
  double r = __dsub_rn(__dsub_rn(x, __dmul_rn(k, 6.93147180369123816490e-01)), __dmul_rn(k, 1.90821492927058770002e-10));
  double p = 1.0 / 87178291200.0;
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 6227020800.0);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 479001600.0);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 39916800.0);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 3628800.0);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 362880.0);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 40320.0);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 5040.0);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 720.0);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 120.0);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 24.0);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 6.0);
  p = __dadd_rn(__dmul_rn(p, r), 0.5);
  p = __dadd_rn(__dmul_rn(p, r), 1.0);
  p = __dadd_rn(__dmul_rn(p, r), 1.0);
  i64 e = (i64)k;
  if (e < -1000) // rounded once, below the normal numbers
    return __dmul_rn(__dmul_rn(p, __longlong_as_double((e + 600 + 1023) << 52)), __longlong_as_double((i64)(-600 + 1023) << 52));
  return __dmul_rn(p, __longlong_as_double((e + 1023) << 52));
}

__device__ inline u64 mix(u64 z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}

// uniform is in [0, 1), a function of seed and counter.
__device__ inline double uniform(u64 seed, u64 counter) {
  u64 x = mix(seed + 0x9e3779b97f4a7c15ull) + (counter + 1) * 0x9e3779b97f4a7c15ull;
  return (double)(mix(x) >> 11) * 1.1102230246251565404236316680908203125e-16;
}

// Draw is the drawing of one token.
struct Draw {
  Row r; // of the candidates; its weights are of all elements
  u64 *weights, *codes;
  i64 sorted;
  u64 slack;
  float top, temperature, top_p;
  double u;
  i32 best, unit;
  bool by_rank; // candidates are in order of their codes, not of their indices
  u64 count;    // of candidates

  __device__ double weight(float v) const {
    if (!(v >= -3.40282346638528859811704183484516925e38f)) return 0.0;
    return exp_det(((double)v - (double)top) / (double)temperature);
  }

  // bound is the difference that sums can have from those of the reference.
  __device__ u64 bound(u64 total) const {
    return 4 * ((u64)r.n + 8 + (u64)((double)total * ((double)(r.n + 8) * 1.1102230246251565404236316680908203125e-16))) + slack;
  }

  // token is the drawn token, or -1 where it depends on the rounding.
  __device__ i64 token(Work &s) {
    u64 mine = 0, total;
    double unit_weight = __longlong_as_double((i64)(unit + 1023) << 52);
    each<false>(r, [&](i64 i, float v, u64) {
      u64 w = (u64)(weight(v) * unit_weight);
      weights[i] = w;
      if (r.has(v, code_of(v, i))) mine += w;
    });
    scan(s, mine, total);
    r.weights = weights;
    u64 d = bound(total);
    if (top_p < 1.0f) {
      Found f;
      if (!reach(s, (double)top_p * (double)total, total, d, f)) return -1;
      total = f.before + f.weight;
    }
    Found f;
    if (!(by_rank ? reach(s, u * (double)total, total, d, f) : reach_by_index(s, u * (double)total, total, d, f))) return -1;
    return (i64)(u32)f.code;
  }

  // certain reports whether the reference's sums reach want at this element.
  __device__ bool certain(const Found &f, u64 want, u64 d) const {
    u64 sum = f.before + f.weight;
    return sum >= want && sum - want > d && (by_rank && f.before == 0 || f.before < want && want - f.before > d);
  }

  __device__ u64 target(double want, u64 total) const {
    u64 t = want > 1.0 ? (u64)want : 1;
    return t < total ? t : total;
  }

  // reach finds the candidate that reaches want, by rank.
  __device__ bool reach(Work &s, double want, u64 total, u64 d, Found &f) const {
    u64 t = target(want, total);
    f = find(s, r, t);
    return certain(f, t, d);
  }

  // reach_by_index finds it by index: a thread adds adjacent elements.
  __device__ bool reach_by_index(Work &s, double want, u64 total, u64 d, Found &f) const {
    u64 t = target(want, total), sum = 0, all;
    i64 each = (r.n + blockDim.x - 1) / blockDim.x, from = each * threadIdx.x, to = min(from + each, r.n);
    for (i64 i = from; i < to; i++) sum += weights[i];
    u64 before = scan(s, sum, all);
    if (before < t && t <= before + sum)
      for (i64 i = from; i < to; i++) {
        u64 w = weights[i];
        if (t <= before + w) {
          s.code = (u64)i, s.before = before, s.weight = w;
          break;
        }
        before += w;
      }
    __syncthreads();
    f = {s.code, s.before, s.weight};
    return certain(f, t, d);
  }

  // exact adds as the reference does, by one thread.
  __device__ i64 exact(Work &s) {
    double *w = (double *)weights;
    for (i64 i = threadIdx.x; i < r.n; i += blockDim.x) w[i] = weight(r.at(i));
    __syncthreads();
    double sum = 0.0;
    bool whole = r.last == ~0ull;
    if (threadIdx.x == 0 && whole) // the others add nothing: their weights are 0
      for (i64 i = 0; i < r.n; i++) sum = __dadd_rn(sum, w[i]);
    i64 n = r.n;
    if (by_rank) {
      for (i64 i = threadIdx.x; i < sorted; i += blockDim.x) {
        u64 code = ~0ull;
        if (i < r.n && r.has(r.at(i), code_of(r.at(i), i))) code = code_of(r.at(i), i);
        codes[i] = code;
      }
      sort(codes, sorted);
      n = count;
      for (i64 i = threadIdx.x; i < n; i += blockDim.x) w[i] = weight(r.at((u32)codes[i]));
      __syncthreads();
    }
    if (threadIdx.x == 0) {
      if (!whole)
        for (i64 i = 0; i < n; i++) sum = __dadd_rn(sum, w[i]);
      s.code = pick(w, n, sum);
    }
    __syncthreads();
    i64 at = (i64)s.code;
    return at < 0 ? best : by_rank ? (i64)(u32)codes[at] : at;
  }

  // pick draws one of n weights, -1 for none.
  __device__ i64 pick(const double *w, i64 n, double sum) const {
    if (top_p < 1.0f) {
      double limit = __dmul_rn((double)top_p, sum);
      sum = 0.0;
      for (i64 i = 0; i < n; i++) {
        sum = __dadd_rn(sum, w[i]);
        if (sum >= limit) {
          n = i + 1;
          break;
        }
      }
    }
    double at = __dmul_rn(u, sum), cum = 0.0;
    for (i64 i = 0; i < n; i++) {
      cum = __dadd_rn(cum, w[i]);
      if (at < cum) return i;
    }
    return -1;
  }
};

// sample has a block of threads for each row.
extern "C" __global__ void __launch_bounds__(select_threads) sample(const __grid_constant__ Sample a) {
  __shared__ Work s;
  for (i64 row = blockIdx.x; row < a.x.rows; row += gridDim.x) {
    Draw d;
    i64 n = a.x.n;
    d.r = {line(a.x, row), n, a.x.stride, nullptr, ~0ull, true, true, 0.0, 0.0};
    // The greatest, and of the candidates the number and the smallest, as the best of the negatives.
    Best b = none_best(), low = none_best();
    u64 mine = 0;
    each<false>(d.r, [&](i64 i, float v, u64) {
      see(b, v, i);
      if (!d.r.has(v, 0)) return;
      see(low, -v, 0);
      mine++;
    });
    b = best_of(s, b);
    float temperature = a.temperature[row * a.temperature_stride];
    bool infinite = b.value == __uint_as_float(0x7f800000u) || b.value == __uint_as_float(0xff800000u);
    if (!(temperature > 0.0f) || infinite) {
      if (threadIdx.x == 0) a.y[row] = b.index;
      continue;
    }
    low = best_of(s, low);
    scan(s, mine, d.count);
    double range = (double)b.value + (double)low.value;
    d.r.top = b.value, d.r.scale = range > 0.0 ? (bins - 1) / range : 0.0;
    d.weights = a.scratch + blockIdx.x * (n + a.sorted), d.codes = d.weights + n;
    d.sorted = a.sorted, d.slack = a.slack, d.unit = a.unit, d.best = b.index;
    d.top = b.value, d.temperature = temperature, d.top_p = a.top_p[row * a.top_p_stride];
    i64 at = row * a.counter_stride;
    d.u = uniform(a.seed[row * a.seed_stride], a.counter_wide ? ((const i64 *)a.counter)[at] : (i64)((const i32 *)a.counter)[at]);
    i32 top_k = a.top_k[row * a.top_k_stride];
    d.by_rank = d.top_p < 1.0f;
    if (top_k > 0 && (u64)top_k < d.count) {
      d.by_rank = true;
      d.r.last = find(s, d.r, top_k).code;
      d.count = top_k;
    }
    i64 token = d.token(s);
    if (token < 0) token = d.exact(s);
    if (threadIdx.x == 0) a.y[row] = (i32)token;
  }
}

// Kernels with a planted fault, each beside a twin that has none. The emulator
// must find each fault and pass each twin. planted.ptx is what NVRTC 12.9 makes
// of this file for compute_80 with --fmad=false.

typedef unsigned int u32;
typedef unsigned char u8;
typedef long long i64;

struct Args {
  u32 *x;
  u32 *y;
  i64 n;
};

#define KERNEL extern "C" __global__ void

// Each block reverses its 64 words by shared memory.
KERNEL missing_barrier(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  s[threadIdx.x] = a.x[blockIdx.x * 64 + threadIdx.x];
  a.y[blockIdx.x * 64 + threadIdx.x] = s[63 - threadIdx.x];
}
KERNEL missing_barrier_twin(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  s[threadIdx.x] = a.x[blockIdx.x * 64 + threadIdx.x];
  __syncthreads();
  a.y[blockIdx.x * 64 + threadIdx.x] = s[63 - threadIdx.x];
}

// A loop that uses its buffer again needs a barrier at its end.
KERNEL missing_second_barrier(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  u32 sum = 0;
  for (int i = 0; i < a.n; i++) {
    s[threadIdx.x] = a.x[i * 64 + threadIdx.x];
    __syncthreads();
    sum += s[63 - threadIdx.x];
  }
  a.y[threadIdx.x] = sum;
}
KERNEL missing_second_barrier_twin(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  u32 sum = 0;
  for (int i = 0; i < a.n; i++) {
    s[threadIdx.x] = a.x[i * 64 + threadIdx.x];
    __syncthreads();
    sum += s[63 - threadIdx.x];
    __syncthreads();
  }
  a.y[threadIdx.x] = sum;
}

// Lanes of one warp exchange words without bar.warp.sync.
KERNEL missing_warp_sync(const __grid_constant__ Args a) {
  __shared__ u32 s[32];
  s[threadIdx.x] = a.x[threadIdx.x];
  a.y[threadIdx.x] = s[31 - threadIdx.x];
}
KERNEL missing_warp_sync_twin(const __grid_constant__ Args a) {
  __shared__ u32 s[32];
  s[threadIdx.x] = a.x[threadIdx.x];
  __syncwarp();
  a.y[threadIdx.x] = s[31 - threadIdx.x];
}

// Bytes of one word belong to different threads.
KERNEL byte_race(const __grid_constant__ Args a) {
  __shared__ u8 s[64];
  s[threadIdx.x] = (u8)a.x[threadIdx.x];
  a.y[threadIdx.x] = s[threadIdx.x ^ 1];
}
KERNEL byte_race_twin(const __grid_constant__ Args a) {
  __shared__ u8 s[64];
  s[threadIdx.x] = (u8)a.x[threadIdx.x];
  s[threadIdx.x] += 1;
  a.y[threadIdx.x] = s[threadIdx.x];
}

// A word that every thread of the grid adds to.
KERNEL race_of_threads(const __grid_constant__ Args a) { a.y[0] += a.x[threadIdx.x]; }
KERNEL race_of_threads_twin(const __grid_constant__ Args a) { atomicAdd(a.y, a.x[threadIdx.x]); }

// Blocks that read what others write.
KERNEL race_of_blocks(const __grid_constant__ Args a) {
  a.y[blockIdx.x] = blockIdx.x;
  a.x[blockIdx.x] = a.y[(blockIdx.x + 1) % gridDim.x];
}
KERNEL race_of_blocks_twin(const __grid_constant__ Args a) {
  a.y[blockIdx.x] = blockIdx.x;
  a.x[blockIdx.x] = a.y[blockIdx.x];
}

// The last block to end adds what the others stored. Without the fence it may
// not see that.
KERNEL missing_fence(const __grid_constant__ Args a) {
  a.y[1 + blockIdx.x] = a.x[blockIdx.x];
  if (atomicAdd(a.y, 1) != gridDim.x - 1) return;
  u32 sum = 0;
  for (int i = 0; i < gridDim.x; i++) sum += a.y[1 + i];
  a.y[1 + gridDim.x] = sum;
}
KERNEL missing_fence_twin(const __grid_constant__ Args a) {
  a.y[1 + blockIdx.x] = a.x[blockIdx.x];
  __threadfence();
  if (atomicAdd(a.y, 1) != gridDim.x - 1) return;
  __threadfence();
  u32 sum = 0;
  for (int i = 0; i < gridDim.x; i++) sum += a.y[1 + i];
  a.y[1 + gridDim.x] = sum;
}

// The bound is one too far.
KERNEL off_by_one(const __grid_constant__ Args a) {
  for (i64 i = threadIdx.x; i <= a.n; i += blockDim.x) a.y[i] = a.x[i];
}
KERNEL off_by_one_twin(const __grid_constant__ Args a) {
  for (i64 i = threadIdx.x; i < a.n; i += blockDim.x) a.y[i] = a.x[i];
}

// Shared memory has one word less than threads.
KERNEL shared_off_by_one(const __grid_constant__ Args a) {
  __shared__ u32 s[63];
  s[threadIdx.x] = a.x[threadIdx.x];
  __syncthreads();
  a.y[threadIdx.x] = s[threadIdx.x];
}
KERNEL shared_off_by_one_twin(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  s[threadIdx.x] = a.x[threadIdx.x];
  __syncthreads();
  a.y[threadIdx.x] = s[threadIdx.x];
}

// One word of shared memory stays unwritten.
KERNEL unwritten_shared(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  if (threadIdx.x != 17) s[threadIdx.x] = a.x[threadIdx.x];
  __syncthreads();
  a.y[threadIdx.x] = s[63 - threadIdx.x];
}
KERNEL unwritten_shared_twin(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  s[threadIdx.x] = threadIdx.x == 17 ? 0 : a.x[threadIdx.x];
  __syncthreads();
  a.y[threadIdx.x] = s[63 - threadIdx.x];
}

// An array of local memory of which one element stays unwritten.
KERNEL unwritten_local(const __grid_constant__ Args a) {
  u32 t[8];
  for (int i = 0; i < 8; i++)
    if (i != a.n) t[a.x[i] & 7] = i;
  a.y[threadIdx.x] = t[a.x[threadIdx.x & 7] & 7];
}
KERNEL unwritten_local_twin(const __grid_constant__ Args a) {
  u32 t[8];
  for (int i = 0; i < 8; i++) t[a.x[i] & 7] = i;
  a.y[threadIdx.x] = t[a.x[threadIdx.x & 7] & 7];
}

// Words two by two from an odd one on.
KERNEL misaligned(const __grid_constant__ Args a) {
  uint2 v = *(const uint2 *)(a.x + 2 * threadIdx.x + 1);
  a.y[threadIdx.x] = v.x + v.y;
}
KERNEL misaligned_twin(const __grid_constant__ Args a) {
  uint2 v = *(const uint2 *)(a.x + 2 * threadIdx.x);
  a.y[threadIdx.x] = v.x + v.y;
}

// A barrier that only some threads of a warp reach, or one warp of two.
KERNEL divergent_warp(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  s[threadIdx.x] = a.x[threadIdx.x];
  if (threadIdx.x % 2) {
    __syncthreads();
    s[threadIdx.x] += 1;
  }
  __syncthreads();
  a.y[threadIdx.x] = s[63 - threadIdx.x];
}
KERNEL divergent_warp_twin(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  if (threadIdx.x % 2) s[threadIdx.x] = a.x[threadIdx.x];
  __syncthreads();
  if (threadIdx.x % 2) a.y[threadIdx.x] = s[threadIdx.x];
}
KERNEL divergent_block(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  s[threadIdx.x] = a.x[threadIdx.x];
  if (threadIdx.x < 32) {
    __syncthreads();
    s[threadIdx.x] += 1;
  } else {
    __syncthreads();
    s[threadIdx.x] += 2;
    __syncthreads();
  }
  __syncthreads();
  a.y[threadIdx.x] = s[63 - threadIdx.x];
}
KERNEL divergent_block_twin(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  s[threadIdx.x] = a.x[threadIdx.x];
  __syncthreads();
  s[threadIdx.x] += threadIdx.x < 32 ? 1 : 2;
  __syncthreads();
  a.y[threadIdx.x] = s[63 - threadIdx.x];
}

// A shuffle that names lanes that are elsewhere.
KERNEL divergent_shuffle(const __grid_constant__ Args a) {
  u32 v = a.x[threadIdx.x];
  if (threadIdx.x < 16) v = __shfl_xor_sync(0xffffffff, v, 1);
  a.y[threadIdx.x] = v;
}
KERNEL divergent_shuffle_twin(const __grid_constant__ Args a) {
  u32 v = a.x[threadIdx.x];
  u32 w = __shfl_xor_sync(0xffffffff, v, 1);
  a.y[threadIdx.x] = threadIdx.x < 16 ? w : v;
}

// cp.async without a wait for it.
__device__ inline void copy_async(void *to, const void *from) {
  u32 s = (u32)__cvta_generic_to_shared(to);
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(s), "l"(from) : "memory");
}
KERNEL missing_wait(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  copy_async(&s[threadIdx.x], a.x + threadIdx.x);
  asm volatile("cp.async.commit_group;" ::: "memory");
  __syncthreads();
  a.y[threadIdx.x] = s[63 - threadIdx.x];
}
KERNEL missing_wait_twin(const __grid_constant__ Args a) {
  __shared__ u32 s[64];
  copy_async(&s[threadIdx.x], a.x + threadIdx.x);
  asm volatile("cp.async.commit_group;" ::: "memory");
  asm volatile("cp.async.wait_group 0;" ::: "memory");
  __syncthreads();
  a.y[threadIdx.x] = s[63 - threadIdx.x];
}

// Dynamic shared memory: the launch must give it, and be permitted to.
KERNEL dynamic_shared(const __grid_constant__ Args a) {
  extern __shared__ u32 d[];
  for (i64 i = threadIdx.x; i < a.n; i += blockDim.x) d[i] = i;
  __syncthreads();
  a.y[threadIdx.x] = d[a.n - 1 - threadIdx.x];
}

// Never ends.
KERNEL endless(const __grid_constant__ Args a) {
  while (*(volatile u32 *)a.y != 1) {
  }
}

// Divergence of many kinds: loops of different lengths, breaks, early returns.
KERNEL collatz(const __grid_constant__ Args a) {
  i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= a.n) return;
  i64 v = a.x[i];
  u32 steps = 0;
  while (v != 1) {
    if (v <= 0) break;
    if (v & 1) {
      v = 3 * v + 1;
      if (steps > 100) return;
    } else {
      v /= 2;
    }
    switch (steps & 3) {
    case 0: steps += 2; break;
    case 1: steps += 1; continue;
    case 2: steps += 3; // and on
    default: steps -= 1;
    }
  }
  a.y[i] = steps;
}

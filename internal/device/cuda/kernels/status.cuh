// The status word of a run: the first error that depends on data.

#pragma once

#include "common.cuh"

// Status mirrors the 16 bytes that status.go decodes. Word is 0 while there is
// no error, else the code with the group in the upper 24 bits.
struct Status {
  u32 word;
  u32 limit;
  i64 value;
};

enum : u32 {
  status_index = 1, // value is not an index of limit rows
  status_rows = 2,  // rows from position value on end outside a cache of limit
};

// report stores an error unless there is one.
__device__ inline void report(Status *s, u32 code, i32 group, i64 value, i64 limit) {
  if (atomicCAS(&s->word, 0u, code | (u32)group << 8) != 0) return;
  s->limit = limit > 0xffffffffll ? 0xffffffffu : (u32)limit;
  s->value = value;
}

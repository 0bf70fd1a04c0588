// Rows of carried state: appended to pages, written at a position that a tensor
// gives, copied between pieces of memory.

#include "status.cuh"

enum { max_rank = 8 };

// Move copies units of 1 to 16 bytes between tensors of one shape, with strides in
// units. Position i of the growing axis is stored at position first + i.
struct Move {
  char *dst;
  char *const *table; // of pages; null for one piece
  const char *src;
  const void *position; // first is its value; null: first is at
  Status *status;
  i64 n;
  i64 at;
  i64 rows, limit; // with position: rows positions of limit
  i64 page_rows;   // positions of a page
  i64 row;         // distance of positions in dst
  i64 shape[max_rank], dst_strides[max_rank], src_strides[max_rank];
  i32 rank;
  i32 axis; // the growing one, with a stride of 0 in dst; in pages only
  i32 position_wide; // i64
  i32 group;
};

// first_position is where the rows begin, -1 after an error: of the position, or
// of an earlier kernel of the run.
__device__ inline i64 first_position(const Move &a) {
  if (!a.position) return a.at;
  i64 p = a.position_wide ? *(const i64 *)a.position : (i64)*(const i32 *)a.position;
  if (p >= 0 && p <= a.limit - a.rows) return a.status->word ? -1 : p;
  if (global_thread() == 0) report(a.status, status_rows, a.group, p, a.limit);
  return -1;
}

template <typename Unit> __device__ inline void move_units(const Move &a) {
  i64 first = first_position(a);
  if (first < 0) return;
  for (i64 i = global_thread(); i < a.n; i += all_threads()) {
    i64 rest = i, from = 0, to = 0, row = first;
    for (i32 d = a.rank - 1; d >= 0; d--) {
      i64 k;
      if ((rest | a.shape[d]) >> 32) {
        k = rest % a.shape[d];
        rest /= a.shape[d];
      } else {
        u32 q = (u32)rest / (u32)a.shape[d];
        k = (u32)rest - q * (u32)a.shape[d];
        rest = q;
      }
      from += k * a.src_strides[d];
      to += k * a.dst_strides[d];
      if (d == a.axis) row += k;
    }
    char *base = a.dst;
    if (a.table) {
      i64 page = row / a.page_rows;
      base = a.table[page];
      row -= page * a.page_rows;
    }
    ((Unit *)base)[to + row * a.row] = ((const Unit *)a.src)[from];
  }
}

extern "C" __global__ void move_1(const __grid_constant__ Move a) { move_units<u8>(a); }
extern "C" __global__ void move_2(const __grid_constant__ Move a) { move_units<u16>(a); }
extern "C" __global__ void move_4(const __grid_constant__ Move a) { move_units<u32>(a); }
extern "C" __global__ void move_8(const __grid_constant__ Move a) { move_units<u64>(a); }
extern "C" __global__ void move_16(const __grid_constant__ Move a) { move_units<uint4>(a); }

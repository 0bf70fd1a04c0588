// Calls that gorgonia.org/cu lacks or that cost too much through it. Each makes the
// context current to the thread that it runs on, since a goroutine has no thread of
// its own, and so is one call from Go.

#pragma once

#include <cuda.h>
#include <stddef.h>
#include <stdint.h>

// genie_init initialises the driver: the cuInit that this program calls does not.
CUresult genie_init(void);

// genie_describe is what the driver says about a code, or "".
const char *genie_describe(CUresult code);

// genie_dim is the size of a grid and of its blocks.
typedef struct {
  unsigned int grid[3], block[3], shared;
} genie_dim;

CUresult genie_launch(CUcontext c, CUstream s, CUfunction f, const genie_dim *d, const void *args, size_t size);
CUresult genie_copy_in(CUcontext c, CUstream s, CUdeviceptr dst, const void *src, size_t n);
CUresult genie_copy_out(CUcontext c, CUstream s, void *dst, CUdeviceptr src, size_t n);
CUresult genie_copy(CUcontext c, CUstream s, CUdeviceptr dst, CUdeviceptr src, size_t n);
CUresult genie_fill(CUcontext c, CUstream s, CUdeviceptr dst, unsigned char b, size_t n);
CUresult genie_record(CUcontext c, CUstream s, CUevent e);
CUresult genie_wait_for(CUcontext c, CUstream s, CUevent e);
CUresult genie_stream_query(CUcontext c, CUstream s);
CUresult genie_stream_synchronize(CUcontext c, CUstream s);
CUresult genie_event_query(CUcontext c, CUevent e);
CUresult genie_event_synchronize(CUcontext c, CUevent e);
CUresult genie_elapsed(CUcontext c, float *ms, CUevent from, CUevent to);

CUresult genie_lock_pages(CUcontext c, void *p, size_t n);
CUresult genie_unlock_pages(CUcontext c, void *p);
CUresult genie_load(CUcontext c, CUmodule *m, const void *image, char *log, size_t size);
CUresult genie_function(CUcontext c, CUfunction *f, CUmodule m, const char *name);
CUresult genie_allow_shared(CUcontext c, CUfunction f, int n);

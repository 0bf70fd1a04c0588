//go:build genie_cuda

// gorgonia.org/cu calls cuInit when the program starts, and ends the program where
// that fails. This cuInit takes the place of the driver's within this program, and
// does nothing: commands that need no device run without one, and those that do
// initialise the driver themselves and return its error.

#define _GNU_SOURCE // RTLD_NEXT
#include <dlfcn.h>

#include "calls.h"

#pragma GCC visibility push(hidden) // libraries see their own
CUresult CUDAAPI cuInit(unsigned int flags) {
  (void)flags;
  return CUDA_SUCCESS;
}
#pragma GCC visibility pop

CUresult genie_init(void) {
  CUresult (*next)(unsigned int) = (CUresult (*)(unsigned int))dlsym(RTLD_NEXT, "cuInit");
  return next == NULL ? CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND : next(0);
}

//go:build genie_cuda

#include "ptx.h"

#include <nvrtc.h>
#include <stdlib.h>

#include "heap.h"

static int last(nvrtcProgram p, nvrtcResult (*size)(nvrtcProgram, size_t *), nvrtcResult (*get)(nvrtcProgram, char *), char **text) {
  size_t n = 0;
  nvrtcResult r = size(p, &n);
  if (r != NVRTC_SUCCESS) return r;
  *text = calloc(n + 1, 1);
  return *text == NULL ? NVRTC_ERROR_OUT_OF_MEMORY : get(p, *text);
}

int genie_ptx(const char *source, const char *name, int n, const char *const *options, char **text) {
  nvrtcProgram p;
  if (!heap_begin()) return -1;
  nvrtcResult r = nvrtcCreateProgram(&p, source, name, 0, NULL, NULL);
  if (r == NVRTC_SUCCESS) {
    r = nvrtcCompileProgram(p, n, options);
    if (r == NVRTC_SUCCESS) {
      r = last(p, nvrtcGetPTXSize, nvrtcGetPTX, text);
    } else {
      last(p, nvrtcGetProgramLogSize, nvrtcGetProgramLog, text);
    }
  }
  heap_end();
  return r;
}

const char *genie_nvrtc_error(int code) { return nvrtcGetErrorString(code); }

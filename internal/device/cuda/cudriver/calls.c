//go:build genie_cuda

#include "calls.h"

// in makes a context current, or returns why it cannot.
#define in(c)                       \
  do {                              \
    CUresult r = cuCtxSetCurrent(c); \
    if (r != CUDA_SUCCESS) return r; \
  } while (0)

const char *genie_describe(CUresult code) {
  const char *s = NULL;
  return cuGetErrorString(code, &s) == CUDA_SUCCESS && s != NULL ? s : "";
}

// The driver is told the size of the arguments, and so cannot read beyond them.
CUresult genie_launch(CUcontext c, CUstream s, CUfunction f, const genie_dim *d, const void *args, size_t size) {
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)args, CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
  in(c);
  return cuLaunchKernel(f, d->grid[0], d->grid[1], d->grid[2], d->block[0], d->block[1], d->block[2], d->shared, s, NULL, extra);
}

CUresult genie_copy_in(CUcontext c, CUstream s, CUdeviceptr dst, const void *src, size_t n) {
  in(c);
  return cuMemcpyHtoDAsync(dst, src, n, s);
}

CUresult genie_copy_out(CUcontext c, CUstream s, void *dst, CUdeviceptr src, size_t n) {
  in(c);
  return cuMemcpyDtoHAsync(dst, src, n, s);
}

CUresult genie_copy(CUcontext c, CUstream s, CUdeviceptr dst, CUdeviceptr src, size_t n) {
  in(c);
  return cuMemcpyDtoDAsync(dst, src, n, s);
}

CUresult genie_fill(CUcontext c, CUstream s, CUdeviceptr dst, unsigned char b, size_t n) {
  in(c);
  return cuMemsetD8Async(dst, b, n, s);
}

CUresult genie_record(CUcontext c, CUstream s, CUevent e) {
  in(c);
  return cuEventRecord(e, s);
}

CUresult genie_wait_for(CUcontext c, CUstream s, CUevent e) {
  in(c);
  return cuStreamWaitEvent(s, e, 0);
}

CUresult genie_stream_query(CUcontext c, CUstream s) {
  in(c);
  return cuStreamQuery(s);
}

CUresult genie_stream_synchronize(CUcontext c, CUstream s) {
  in(c);
  return cuStreamSynchronize(s);
}

CUresult genie_event_query(CUcontext c, CUevent e) {
  in(c);
  return cuEventQuery(e);
}

CUresult genie_event_synchronize(CUcontext c, CUevent e) {
  in(c);
  return cuEventSynchronize(e);
}

CUresult genie_elapsed(CUcontext c, float *ms, CUevent from, CUevent to) {
  in(c);
  return cuEventElapsedTime(ms, from, to);
}

CUresult genie_lock_pages(CUcontext c, void *p, size_t n) {
  in(c);
  return cuMemHostRegister(p, n, CU_MEMHOSTREGISTER_PORTABLE);
}

CUresult genie_unlock_pages(CUcontext c, void *p) {
  in(c);
  return cuMemHostUnregister(p);
}

CUresult genie_load(CUcontext c, CUmodule *m, const void *image, char *log, size_t size) {
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log, (void *)(uintptr_t)size};
  in(c);
  return cuModuleLoadDataEx(m, image, 2, options, values);
}

CUresult genie_function(CUcontext c, CUfunction *f, CUmodule m, const char *name) {
  in(c);
  return cuModuleGetFunction(f, m, name);
}

CUresult genie_allow_shared(CUcontext c, CUfunction f, int n) {
  in(c);
  return cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, n);
}

// A heap at a fixed address. NVRTC orders some of its work by addresses of memory,
// so that what it makes of a large kernel differs from run to run where addresses
// do. Between heap_begin and heap_end what a thread allocates is in a region of a
// fixed address, at places that depend on what it allocated before alone.

#pragma once

int heap_begin(void);  // 0 if the region is not to be had
void heap_end(void);

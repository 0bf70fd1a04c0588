// One compilation by NVRTC that gives the same bytes each time.

#pragma once

#include <stddef.h>

// genie_ptx compiles a source for the options. It returns the code of NVRTC, with
// the PTX or the log in text; -1 if there is no room for its heap. It is called once
// in a process, and text is never freed.
int genie_ptx(const char *source, const char *name, int n, const char *const *options, char **text);
const char *genie_nvrtc_error(int code);

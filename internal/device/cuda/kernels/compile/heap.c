//go:build genie_cuda

#define _GNU_SOURCE  // MAP_FIXED_NOREPLACE
#include "heap.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

// What the C library has under the names that are defined here.
extern void *__libc_malloc(size_t);
extern void __libc_free(void *);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_memalign(size_t, size_t);

static char *const base = (char *)0x200000000000;
static const size_t room = (size_t)64 << 30;  // of which pages that are used count
static char *next;
static __thread int fixed;

// spare are freed blocks by class; each begins with the one that was freed before.
static void *spare[64 * 4 + 4];

// reserve runs before the Go runtime starts, which would perhaps have its own heap
// there: it begins at a random address.
__attribute__((constructor)) static void reserve(void) {
  void *p = mmap(base, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (p == base) next = base;
}

int heap_begin(void) {
  fixed = next != NULL;
  return fixed;
}

void heap_end(void) { fixed = 0; }

static int inside(const void *p) { return (const char *)p >= base && (const char *)p < base + room; }

// head is before each block.
struct head {
  size_t size, class;
};

static struct head *head(void *p) { return (struct head *)p - 1; }

// classify rounds a size up to a quarter of a power of two.
static size_t classify(size_t *n) {
  if (*n < 64) *n = 64;
  int e = 63 - __builtin_clzl(*n);
  size_t quarter = (size_t)1 << (e - 2);
  size_t k = (*n - ((size_t)1 << e) + quarter - 1) / quarter;
  *n = ((size_t)1 << e) + k * quarter;
  return (size_t)e * 4 + k;
}

static void *take(size_t align, size_t n) {
  if (n > room / 2 || align > room / 2) {
    errno = ENOMEM;
    return NULL;
  }
  size_t class = classify(&n);
  if (align <= sizeof(struct head) && spare[class] != NULL) {
    void *p = spare[class];
    spare[class] = *(void **)p;
    return p;
  }
  if (align < sizeof(struct head)) align = sizeof(struct head);
  char *p = (char *)(((uintptr_t)next + sizeof(struct head) + align - 1) & ~(align - 1));
  if (n > (size_t)(base + room - p)) {
    errno = ENOMEM;
    return NULL;
  }
  *head(p) = (struct head){n, class};
  next = p + n;
  return p;
}

void *malloc(size_t n) { return fixed ? take(1, n) : __libc_malloc(n); }

void free(void *p) {
  if (!inside(p)) {
    __libc_free(p);
  } else if (fixed) {
    *(void **)p = spare[head(p)->class];
    spare[head(p)->class] = p;
  }  // else another thread's, or late: it stays
}

void *calloc(size_t a, size_t b) {
  size_t n;
  if (!fixed) return __libc_calloc(a, b);
  if (__builtin_mul_overflow(a, b, &n)) {
    errno = ENOMEM;
    return NULL;
  }
  void *p = take(1, n);
  return p == NULL ? NULL : memset(p, 0, n);
}

void *realloc(void *p, size_t n) {
  if (p == NULL) return malloc(n);
  if (!inside(p)) return __libc_realloc(p, n);
  size_t had = head(p)->size;
  if (n <= had) return p;
  void *q = malloc(n);
  if (q != NULL) {
    memcpy(q, p, had);
    free(p);
  }
  return q;
}

void *memalign(size_t align, size_t n) { return fixed ? take(align, n) : __libc_memalign(align, n); }
void *aligned_alloc(size_t align, size_t n) { return memalign(align, n); }

int posix_memalign(void **p, size_t align, size_t n) {
  *p = memalign(align, n);
  return *p == NULL ? ENOMEM : 0;
}

//go:build openblas

// Package openblas calls the system's OpenBLAS, for comparison. It is built
// only with the tag openblas, and only benchmarks use it.
package openblas

// #cgo LDFLAGS: -lopenblas
// #include <cblas.h>
// void openblas_set_num_threads(int);
import "C"

// SetThreads sets the number of threads of a product.
func SetThreads(n int) { C.openblas_set_num_threads(C.int(n)) }

// Gemm computes C = A x B with row-major C [m, n], A [m, k] and B [k, n].
func Gemm(c, a, b []float32, m, n, k int) {
	C.cblas_sgemm(C.CblasRowMajor, C.CblasNoTrans, C.CblasNoTrans, C.blasint(m), C.blasint(n), C.blasint(k),
		1, (*C.float)(&a[0]), C.blasint(k), (*C.float)(&b[0]), C.blasint(n), 0, (*C.float)(&c[0]), C.blasint(n))
}

// Gemv computes c = a x B with row-major B [k, n].
func Gemv(c, a, b []float32, n, k int) {
	C.cblas_sgemv(C.CblasRowMajor, C.CblasTrans, C.blasint(k), C.blasint(n),
		1, (*C.float)(&b[0]), C.blasint(n), (*C.float)(&a[0]), 1, 0, (*C.float)(&c[0]), 1)
}

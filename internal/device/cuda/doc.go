// Package cuda is a CUDA device on the narrow interface of package driver: its
// memory, its weight layouts, and the groups of a program as kernel launches in
// a stream. It is compiled and tested without a GPU; only a program built with
// the tag genie_cuda links a driver and can open it.
package cuda

// Package systems runs the reference systems that the engine is compared with,
// other implementations of the workloads in Python: PyTorch, ONNX Runtime and
// llama.cpp. A reference system is a process of the interpreter that
// GENIE_PYTHON names. It runs a program that is embedded here, reads the same
// checkpoint directory, gets the same inputs, and returns its outputs and the
// time by its own clock.
//
// Building, testing and using the module need nothing of this package. Without
// the interpreter or a Python package the error is [ErrUnavailable]; there is
// no fallback.
//
// The two processes exchange frames over standard input and output: a
// little-endian uint32, a JSON object of that many bytes, and the bytes of the
// tensors that the object lists.
package systems

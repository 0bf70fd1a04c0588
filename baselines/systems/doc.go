// Package systems runs the reference systems: other implementations of the
// workloads, in Python, which the engine is compared with: PyTorch, ONNX Runtime
// and llama.cpp. A reference system is a process of the interpreter that
// GENIE_PYTHON names, running a program that is embedded here. It reads the same
// checkpoint directory, gets the same inputs, and answers with its outputs and the
// time that it took by its own clock.
//
// Nothing here is needed to build, to test or to use the module. Without the
// interpreter or a package there is [ErrUnavailable] and no fallback.
//
// The two sides exchange frames over the process's standard input and output: a
// little-endian uint32, a JSON object of so many bytes, and the bytes of the
// tensors that the object lists.
package systems

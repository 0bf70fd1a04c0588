// Package checkpoint opens a model directory in the Hugging Face layout:
// config.json beside model.safetensors, or beside several shards and
// model.safetensors.index.json. All weights are memory-mapped; nothing is
// copied.
//
//	m, err := checkpoint.Open(dir, checkpoint.Options{})
//	if err != nil { ... }
//	defer m.Close()
//	wte, err := m.Need("transformer.wte.weight", []safetensors.DType{safetensors.F32}, []int64{50257, 768})
//	sum, err := m.Hash("transformer.wte.weight")
//
// # Content hashes
//
// A worker stores a weight under the hash of its content, so that sessions
// which use the same weight share it. The hash is BLAKE3-256 over
//
//	dtype name (for example "F32") and a zero byte
//	rank, unsigned 64 bit, little endian
//	each dimension, unsigned 64 bit, little endian
//	the tensor's bytes as stored
//
// It is computed once and stored where [Options] says, by default in the user's
// cache folder. It is valid for the file that was hashed, identified by the
// system's data about it and a sample of its content. A file with another
// inode, time of change, size, header or sample is hashed again, and so is one
// that was written just before it was hashed. The stored hashes are as
// trustworthy as their folder: code that receives weights from elsewhere must
// hash them with [HashTensor].
package checkpoint

// Package checkpoint opens a model directory in the layout of Hugging Face:
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
// It is computed once and stored where [Options] says: in the user's cache
// folder unless it says otherwise. It counts for the file that was hashed, as
// the system knows it and as a sample of its content shows; a file of another
// inode, time of change, size, header or sample is hashed again, and so is one
// that was written a moment before it was hashed.
// The stored hashes are as trustworthy as the folder they are in: whoever takes
// weights from somebody else has to hash what arrives with [HashTensor].
package checkpoint

// Package safetensors reads and writes the safetensors format, in which Hugging
// Face stores model weights
// (https://github.com/huggingface/safetensors#format):
//
//	8 bytes   header length n, unsigned 64 bit, little endian
//	n bytes   JSON object: tensor name -> {"dtype", "shape", "data_offsets"},
//	          optionally "__metadata__" -> map from string to string
//	rest      the tensors' bytes, little endian, row major, without holes
//
// The reader maps the file into memory and checks the whole header before it
// returns a view. A file with a false length, shape or offset gives an [Error]
// and never access to memory outside the file:
//
//	f, err := safetensors.Open("model.safetensors")
//	if err != nil { ... }
//	defer f.Close()
//	t, ok := f.Tensor("transformer.wte.weight") // t.Data is a view into the mapping, see Tensor.Read
//
// The writer streams: it holds nothing larger than the header in memory, and
// the file appears under its name only when it is complete.
package safetensors

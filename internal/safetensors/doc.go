// Package safetensors reads and writes the safetensors format, in which
// Hugging Face stores model weights
// (https://github.com/huggingface/safetensors#format):
//
//	8 bytes   header length n, unsigned 64 bit, little endian
//	n bytes   JSON object: tensor name -> {"dtype", "shape", "data_offsets"},
//	          optionally "__metadata__" -> map from string to string
//	rest      the tensors' bytes, little endian, row major, without holes
//
// The reader maps the file into memory and checks the whole header before it
// gives out a view, so a file that lies about a length, a shape or an offset
// comes back as an [Error] and never as memory outside the file:
//
//	f, err := safetensors.Open("model.safetensors")
//	if err != nil { ... }
//	defer f.Close()
//	t, ok := f.Tensor("transformer.wte.weight") // t.Data is a view into the mapping, see Tensor.Read
//
// The writer streams: nothing larger than the header is held in memory, and
// the file appears under its name only when every byte is there.
package safetensors

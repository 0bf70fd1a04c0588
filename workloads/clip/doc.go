// Package clip captures CLIP models (Radford et al., arXiv:2103.00020), an
// image and a text encoder whose embeddings are compared, from checkpoints in
// the Hugging Face layout of CLIPModel.
package clip

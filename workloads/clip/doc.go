// Package clip captures CLIP models (Radford et al., arXiv:2103.00020), an image
// and a text encoder whose embeddings are compared, from checkpoints as Hugging
// Face writes them for CLIPModel.
package clip

// Package vit captures image classifiers of the Vision Transformer family
// (Dosovitskiy et al., arXiv:2010.11929) from checkpoints in the Hugging Face layout
// of ViTForImageClassification.
package vit

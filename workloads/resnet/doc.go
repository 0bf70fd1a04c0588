// Package resnet captures image classifiers of the ResNet family (He et al.,
// arXiv:1512.03385) from checkpoints in the Hugging Face layout of
// ResNetForImageClassification.
package resnet

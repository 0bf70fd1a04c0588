// Package resnet captures image classifiers of the ResNet family (He et al.,
// arXiv:1512.03385) from checkpoints as Hugging Face writes them for
// ResNetForImageClassification.
package resnet

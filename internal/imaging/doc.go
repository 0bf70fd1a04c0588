// Package imaging turns image files into the pixel tensors of vision models, as
// the image processors of transformers do.
//
//	p, err := imaging.LoadProcessor(dir, imaging.CLIP)
//	if err != nil { ... }
//	img, err := imaging.Open("cat.jpg", imaging.Limits{})
//	if err != nil { ... }
//	pixels, err := p.Process(img) // float32 [1, 3, height, width]
//
// # Reference
//
// The reference is the PIL-based processors of transformers 5.23
// (CLIPImageProcessorPil, ConvNextImageProcessorPil, which ResNet uses, and
// ViTImageProcessorPil) on the results of its load_image with Pillow 13. Pixels
// before rescaling, and the float32 values after normalisation, have the same
// bits on all goldens: PNG, GIF, BMP, lossless and lossy WebP, sequential and
// progressive JPEG with colours sampled in any integer ratio, and every filter.
// Other versions of Pillow may differ: see [Image.Resize].
//
// # Orientation
//
// An image is rotated by the orientation in its Exif data, or in its XMP if
// those have none: in JPEG, PNG (the chunk eXIf, or the text of ImageMagick)
// and WebP. Broken metadata are ignored, where Pillow refuses some of them.
//
// # Incomplete JPEG files
//
// A progressive file that ends between two scans is an image: libjpeg estimates
// what is missing from the surrounding blocks ("block smoothing"), and so does
// this package, with the same bits. One that ends within a scan is
// [ErrCorrupt], though libjpeg fills it with grey. Valid files that are not
// supported are refused by name: arithmetic, lossless and hierarchical coding,
// 12 bits, fractions of pixels, animated WebP.
//
// # Colours
//
// All images become 8-bit RGB like in PIL's convert("RGB"): grey is repeated,
// palettes are looked up, alpha is dropped and not blended, and of 16 bits the
// high eight remain. One surprise of PIL is reproduced: 16-bit grey is clipped
// to 255, not scaled. A single transparent colour in a file without alpha is
// preserved, but becomes white in processors that convert to RGB themselves, as
// CLIP's do ([Config.ConvertRGB]). Colour profiles are ignored. Of an animated
// GIF or PNG the first frame is used.
//
// # Why the package has its own resampler and JPEG decoder
//
// golang.org/x/image/draw has the same kernels, but rounds once, at the end.
// PIL rounds to 8 bits after each of its two passes, which clips the overshoot
// of a bicubic or Lanczos kernel; near hard edges the difference is more than
// one level. PIL's coefficients are also fixed-point numbers. And image/jpeg
// differs from the libjpeg in PIL in its inverse transform, and repeats colours
// where libjpeg interpolates. The standard library and golang.org/x/image
// decode everything else.
package imaging

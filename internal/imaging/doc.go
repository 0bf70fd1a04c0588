// Package imaging turns picture files into the pixel tensors that vision models
// take, as the image processors of transformers do.
//
//	p, err := imaging.LoadProcessor(dir, imaging.CLIP)
//	if err != nil { ... }
//	img, err := imaging.Open("cat.jpg", imaging.Limits{})
//	if err != nil { ... }
//	pixels, err := p.Process(img) // float32 [1, 3, height, width]
//
// # What it agrees with
//
// The reference is the PIL-based processors of transformers 5.23
// (CLIPImageProcessorPil, ConvNextImageProcessorPil, which ResNet uses, and
// ViTImageProcessorPil) on Image.open(file).convert("RGB") of Pillow 13. Pixels
// before rescaling, and the float32 values after normalisation, are the same
// bits on all goldens: PNG, GIF, BMP, lossless and lossy WebP, sequential and
// progressive JPEG with and without subsampled colours, and every filter. Other
// versions of Pillow may differ: see [Image.Resize].
//
// # Colours
//
// Everything becomes 8-bit RGB in the way of PIL's convert("RGB"): grey is
// repeated, palettes are looked up, alpha is dropped and not blended, of 16 bits
// the high eight remain. One of its surprises is kept: 16-bit grey is clipped
// to 255, not scaled. A camera's orientation tag (EXIF) is ignored, as
// Image.open does (transformers' own load_image turns the picture), and so are
// colour profiles. Of an animation the first frame is taken.
//
// # Why its own resampler and JPEG decoder
//
// golang.org/x/image/draw has the same kernels, but rounds once, at the end,
// and PIL to 8 bits after each of its two passes, clipping what a bicubic or
// Lanczos kernel overshoots; near hard edges that differs by more than one
// level. PIL's coefficients are also fixed-point numbers. And image/jpeg differs
// from the libjpeg in PIL by its inverse transform, and by repeating colours
// where that interpolates. Everything else is decoded by the standard library
// and golang.org/x/image.
package imaging

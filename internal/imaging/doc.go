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
// ViTImageProcessorPil) on what its load_image gives with Pillow 13. Pixels
// before rescaling, and the float32 values after normalisation, are the same
// bits on all goldens: PNG, GIF, BMP, lossless and lossy WebP, sequential and
// progressive JPEG with colours sampled in any whole ratio, and every filter.
// Other versions of Pillow may differ: see [Image.Resize].
//
// # Orientation
//
// A picture is turned as its Exif data say, or its XMP where they do not:
// in JPEG, PNG (the chunk eXIf, or the text of ImageMagick) and WebP. Metadata
// that are broken say nothing, where Pillow refuses some of them.
//
// # Incomplete JPEG files
//
// A progressive file that ends between two scans is a picture: libjpeg estimates
// what is missing from the blocks around ("block smoothing"), and so does this
// package, with the same bits. One that ends within a scan is [ErrCorrupt],
// though libjpeg fills it up with grey. What is valid but not read is refused by
// name: arithmetic, lossless and hierarchical coding, 12 bits, fractions of
// pixels, animated WebP.
//
// # Colours
//
// Everything becomes 8-bit RGB in the way of PIL's convert("RGB"): grey is
// repeated, palettes are looked up, alpha is dropped and not blended, of 16 bits
// the high eight remain. One of its surprises is kept: 16-bit grey is clipped
// to 255, not scaled. A single colour that a file without alpha calls transparent
// is kept, but becomes white in processors that convert to RGB themselves, as
// CLIP's do ([Config.ConvertRGB]). Colour profiles are ignored. Of an animated GIF or PNG the
// first frame is taken.
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

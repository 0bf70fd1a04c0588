package kernels

import "github.com/genie-sdk/go/internal/halt"

// layoutBlock is the number of pixels in a unit of [ChannelsLast] and
// [ChannelsFirst].
const layoutBlock = 64

// LayoutUnits is the number of parts that a change of layout of images of so
// many pixels can be split into.
func LayoutUnits(images, pixels int) int {
	needDims("LayoutUnits", images, pixels, 0)
	return sizeOf("LayoutUnits", images, (pixels+layoutBlock-1)/layoutBlock)
}

// ChannelsLast writes the units lo to hi, of [LayoutUnits], of
// src [images, channels, pixels] to dst [images, pixels, channels].
// When h stops it they are undefined.
func ChannelsLast(dst, src []float32, images, channels, pixels, lo, hi int, h halt.Func) {
	eachLayoutBlock("ChannelsLast", dst, src, images, channels, pixels, lo, hi, h, func(image, c0, c1, p0, p1 int) {
		transpose(dst[image+p0*channels+c0:image+(p1-1)*channels+c1], channels, src[image+c0*pixels+p0:image+channels*pixels], pixels, c1-c0, p1-p0)
	})
}

// ChannelsFirst writes the units lo to hi, of [LayoutUnits], of
// src [images, pixels, channels] to dst [images, channels, pixels].
// When h stops it they are undefined.
func ChannelsFirst(dst, src []float32, images, channels, pixels, lo, hi int, h halt.Func) {
	eachLayoutBlock("ChannelsFirst", dst, src, images, channels, pixels, lo, hi, h, func(image, c0, c1, p0, p1 int) {
		transpose(dst[image+c0*pixels+p0:image+(c1-1)*pixels+pixels], pixels, src[image+p0*channels+c0:image+p1*channels], channels, p1-p0, c1-c0)
	})
}

// layoutChannels of a block of pixels are moved at once.
const layoutChannels = 1 << 14

// eachLayoutBlock calls f with the first element of an image and ranges of its
// channels and pixels.
func eachLayoutBlock(op string, dst, src []float32, images, channels, pixels, lo, hi int, h halt.Func, f func(image, c0, c1, p0, p1 int)) {
	needDims(op, images, channels, pixels)
	need(op, "dst", len(dst), images, channels, pixels)
	need(op, "src", len(src), images, channels, pixels)
	needRange(op, lo, hi, LayoutUnits(images, pixels))
	if channels == 0 {
		return
	}
	ask := h.Counter()
	blocks := (pixels + layoutBlock - 1) / layoutBlock
	for unit := lo; unit < hi; unit++ {
		p0 := unit % blocks * layoutBlock
		for c0 := 0; c0 < channels; c0 += layoutChannels {
			c1, p1 := min(c0+layoutChannels, channels), min(p0+layoutBlock, pixels)
			if ask.Stop((c1 - c0) * (p1 - p0)) {
				return
			}
			f(unit/blocks*channels*pixels, c0, c1, p0, p1)
		}
	}
}

// transpose writes src [rows, cols], its rows lds apart, to dst [cols, rows],
// its rows ldd apart.
func transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	done := transposeArch(dst, ldd, src, lds, rows, cols)
	for j := done; j < cols; j++ {
		line := dst[j*ldd:][:rows]
		for i := range line {
			line[i] = src[i*lds+j]
		}
	}
}

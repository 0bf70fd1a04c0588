package kernels

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
func ChannelsLast(dst, src []float32, images, channels, pixels, lo, hi int) {
	eachLayoutBlock("ChannelsLast", dst, src, images, channels, pixels, lo, hi, func(image, p0, p1 int) {
		transpose(dst[image+p0*channels:image+p1*channels], channels, src[image+p0:image+channels*pixels], pixels, channels, p1-p0)
	})
}

// ChannelsFirst writes the units lo to hi, of [LayoutUnits], of
// src [images, pixels, channels] to dst [images, channels, pixels].
func ChannelsFirst(dst, src []float32, images, channels, pixels, lo, hi int) {
	eachLayoutBlock("ChannelsFirst", dst, src, images, channels, pixels, lo, hi, func(image, p0, p1 int) {
		transpose(dst[image+p0:image+channels*pixels], pixels, src[image+p0*channels:image+p1*channels], channels, p1-p0, channels)
	})
}

// eachLayoutBlock calls f with the first element of an image and a range of its
// pixels.
func eachLayoutBlock(op string, dst, src []float32, images, channels, pixels, lo, hi int, f func(image, p0, p1 int)) {
	needDims(op, images, channels, pixels)
	need(op, "dst", len(dst), images, channels, pixels)
	need(op, "src", len(src), images, channels, pixels)
	needRange(op, lo, hi, LayoutUnits(images, pixels))
	if channels == 0 {
		return
	}
	blocks := (pixels + layoutBlock - 1) / layoutBlock
	for unit := lo; unit < hi; unit++ {
		p0 := unit % blocks * layoutBlock
		f(unit/blocks*channels*pixels, p0, min(p0+layoutBlock, pixels))
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

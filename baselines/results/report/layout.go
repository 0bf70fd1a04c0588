package report

// layout is the width of a chart and the position of its texts. A page has each
// chart twice: text shrinks with a scaled chart, so a narrow screen gets one
// drawn for it.
type layout struct {
	width float64
	// stacked writes a row's label and value above its bar instead of beside
	// it.
	stacked bool
}

var (
	wide   = layout{width: 720}
	narrow = layout{width: 360, stacked: true}
)

const (
	rowHeight     = 26.0
	stackedHeight = 42.0
)

// margins are the space left and right of the axis for labels and values,
// unless they are above it.
func (l layout) margins(left, right float64) (float64, float64) {
	if l.stacked {
		return 8, 24
	}
	return left, right
}

// row writes the label and the value of a row that begins at y. Its bar is around
// centre, and the next row begins at next.
func (l layout) row(f *figure, y, left, right float64, class, label, value string) (centre, next float64) {
	if l.stacked {
		f.text(4, y+12, "start", class, label)
		f.text(l.width-4, y+12, "end", "value", value)
		return y + 27, y + stackedHeight
	}
	f.text(left-10, y+17, "end", class, label)
	f.text(l.width-right+10, y+17, "start", "value", value)
	return y + 13, y + rowHeight
}

// drawn is a chart in both layouts; nil without content.
func drawn(id string, chart func(l layout, id string) *figure) *figure {
	f := chart(wide, id)
	if f != nil {
		f.Narrow = chart(narrow, id+"-narrow")
	}
	return f
}

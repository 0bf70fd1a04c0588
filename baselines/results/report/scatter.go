package report

import (
	"fmt"
	"strings"

	"github.com/genie-sdk/go/baselines/results"
)

// operatorBand is the accepted error of a prediction: a quarter of the measured
// time.
const operatorBand = 0.25

// scatterChart shows predicted against measured times, both on logarithmic
// axes; an exact prediction is on the diagonal.
func scatterChart(l layout, m results.CostModel, id string) *figure {
	f := &figure{ID: id, Title: "Cost model: predicted against measured", Width: l.width, Height: 520}
	f.Note = "the diagonal is an exact prediction; the band is ±25%; logarithmic axes"
	lo, hi := m.Predictions[0].Measured, m.Predictions[0].Measured
	var told []string
	for _, p := range m.Predictions {
		lo, hi = min(lo, p.Measured, p.Predicted), max(hi, p.Measured, p.Predicted)
		told = append(told, fmt.Sprintf("%s predicted %s, measured %s", variantText(p.Variant), valueText(p.Predicted, "sec"), valueText(p.Measured, "sec")))
	}
	x, y := logAxis(lo, hi, 80, l.width-20), logAxis(lo, hi, 460, 16)
	for _, t := range x.ticks {
		f.line(x.at(t), y.to, x.at(t), y.from, "grid")
		f.text(x.at(t), y.from+18, "middle", "tick", tickText(t, "sec"))
		f.line(x.from, y.at(t), x.to, y.at(t), "grid")
		f.text(x.from-8, y.at(t)+4, "end", "tick", tickText(t, "sec"))
	}
	f.text((x.from+x.to)/2, y.from+42, "middle", "label", "measured")
	f.add(shape{Kind: "text", X: 20, Y: (y.from + y.to) / 2, Anchor: "middle", Class: "label", Text: "predicted", Rotate: true})
	f.band(x, y)
	f.points(m, x, y)
	f.Legend = []legendEntry{
		{"s0", "operator", mark("circle", 7, 7, 5, "mark s0", "")},
		{"s1", "transfer", mark("square", 7, 7, 5, "mark s1", "")},
	}
	f.Description = fmt.Sprintf("%s: %s.", f.Title, strings.Join(told, "; "))
	return f
}

// band draws the diagonal, and the band around it clipped at the frame.
func (f *figure) band(x, y axis) {
	up, down := 1+operatorBand, 1-operatorBand
	var d strings.Builder
	for i, p := range [][2]float64{
		{x.lo, y.lo}, {x.lo, y.lo * up}, {x.hi / up, y.hi}, {x.hi, y.hi}, {x.hi, y.hi * down}, {x.lo / down, y.lo},
	} {
		fmt.Fprintf(&d, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], x.at(p[0]), y.at(p[1]))
	}
	f.add(shape{Kind: "path", D: d.String() + "Z", Class: "band"})
	f.line(x.at(x.lo), y.at(y.lo), x.at(x.hi), y.at(y.hi), "diagonal")
}

type box struct{ x1, y1, x2, y2 float64 }

func (b box) meets(o box) bool { return b.x1 < o.x2 && o.x1 < b.x2 && b.y1 < o.y2 && o.y1 < b.y2 }

// points draws the predictions, each with its name where there is room for it.
func (f *figure) points(m results.CostModel, x, y axis) {
	var taken []box
	for _, p := range m.Predictions {
		px, py := x.at(p.Measured), y.at(p.Predicted)
		taken = append(taken, box{px - 6, py - 6, px + 6, py + 6})
	}
	for _, p := range m.Predictions {
		px, py := x.at(p.Measured), y.at(p.Predicted)
		kind, class := "circle", "mark s0"
		if p.Transfer {
			kind, class = "square", "mark s1"
		}
		name := variantText(p.Variant)
		tip := fmt.Sprintf("%s: predicted %s, measured %s, error %.0f%%", name, valueText(p.Predicted, "sec"), valueText(p.Measured, "sec"), 100*p.Error())
		f.add(mark(kind, px, py, 5, class, tip))
		w := textWidth(name) * 0.92
		for _, at := range []struct {
			x, y   float64
			anchor string
		}{{px + 10, py + 12, "start"}, {px - 10, py - 5, "end"}, {px + 10, py - 5, "start"}, {px - 10, py + 14, "end"}, {px + 10, py + 22, "start"}, {px - 10, py - 16, "end"}} {
			b := box{at.x, at.y - 10, at.x + w, at.y + 3}
			if at.anchor == "end" {
				b.x1, b.x2 = at.x-w, at.x
			}
			free := b.x1 > x.from && b.x2 < x.to+16 && b.y1 > y.to-8 && b.y2 < y.from
			for _, t := range taken {
				free = free && !b.meets(t)
			}
			if free {
				taken = append(taken, b)
				f.text(at.x, at.y, at.anchor, "point", name)
				break
			}
		}
	}
}

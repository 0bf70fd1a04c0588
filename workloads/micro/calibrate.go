package micro

import (
	"context"
	"fmt"
	"math"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
)

// Calibrate measures the calibration cases of a suite and describes the
// client's executor as a [semantic.Device]. It takes a minute or two at the
// small scale and needs about 1.5 GB in each process.
func Calibrate(ctx context.Context, client *genie.Client, suite Suite, s Sampling) (semantic.Device, error) {
	measured, err := Measure(ctx, client, suite.Calibration, s)
	if err != nil {
		return semantic.Device{}, err
	}
	return Fit(measured, remote(client))
}

// remote reports whether a client's runs have moved bytes over a wire.
func remote(client *genie.Client) bool {
	l := client.Ledger()
	return l.SocketSent+l.SocketReceived > 0
}

// Fit fits a calibrated device to measurements:
//
//   - the curve of a class of kernels goes through the executor's times of the
//     cases that are one kernel of that class, over FLOPs or bytes; the class of
//     references is that of the case whose operator has no kernel;
//   - the call is the smallest difference between wall time and executor's
//     time of a transfer, which is the round trip of the smallest messages;
//   - the time of uploads and downloads in excess of executor and call is the
//     curve up and the curve down.
//
// FLOPS is the best rate of a product, Bandwidth that of the largest
// elementwise kernel, which exceeds every cache, and Link, over a wire, that of
// the largest upload.
func Fit(measured []Measurement, remote bool) (semantic.Device, error) {
	points := map[semantic.Class][]semantic.Point{}
	call := math.Inf(1)
	for _, m := range measured {
		_, k, err := m.kernel()
		if err != nil {
			return semantic.Device{}, err
		}
		class := k.Rated()
		points[class] = append(points[class], semantic.Point{Work: class.Work(k.Cost), Seconds: m.Executor})
		if m.Transfer() {
			call = min(call, max(m.Wall-m.Executor, 0))
		}
	}
	cal := &semantic.Calibration{Kernels: map[semantic.Class]semantic.Curve{}, Call: call}
	for class, p := range points {
		cal.Kernels[class] = semantic.FitCurve(p...)
	}
	for _, class := range []semantic.Class{semantic.ClassProduct, semantic.ClassElementwise} {
		if len(cal.Kernels[class]) == 0 {
			return semantic.Device{}, fmt.Errorf("%w: nothing measured of class %v", semantic.ErrCalibration, class)
		}
	}
	if math.IsInf(call, 0) {
		return semantic.Device{}, fmt.Errorf("%w: no transfer measured", semantic.ErrCalibration)
	}
	cal.Up = moves(measured, Upload, func(m Measurement) float64 { return m.Wall - m.Executor - call })
	cal.Down = moves(measured, Download, func(m Measurement) float64 {
		return m.Wall - m.Executor - call - cal.Up.Seconds(float64(4*m.inputs()[0].elements()))
	})
	d := semantic.Device{FLOPS: best(cal.Kernels[semantic.ClassProduct]), Bandwidth: streamed(cal.Kernels[semantic.ClassElementwise]), Calibration: cal, Source: semantic.SourceMeasured}
	if remote {
		d.Link = streamed(cal.Up)
	}
	return d, nil
}

// moves is the curve of time over bytes of one kind of transfer. It starts at
// zero.
func moves(measured []Measurement, op string, seconds func(Measurement) float64) semantic.Curve {
	points := []semantic.Point{{}}
	for _, m := range measured {
		if m.Op == op {
			points = append(points, semantic.Point{Work: float64(m.Dims[0]), Seconds: max(seconds(m), 0)})
		}
	}
	return semantic.FitCurve(points...)
}

// best is the highest rate of a curve.
func best(c semantic.Curve) float64 {
	rate := 0.0
	for _, p := range c {
		if p.Seconds > 0 {
			rate = max(rate, p.Work/p.Seconds)
		}
	}
	return rate
}

// streamed is the rate at the largest amount of a curve.
func streamed(c semantic.Curve) float64 {
	if last := c[len(c)-1]; last.Seconds > 0 {
		return last.Work / last.Seconds
	}
	return 0
}

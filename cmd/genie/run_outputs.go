package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/npy"
	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// shownElements is how many elements of an output are printed.
const shownElements = 6

// writeOutputs writes the files and prints what was computed.
func (a *app) writeOutputs(ctx context.Context, o *runOptions, report *modelReport, outputs []lazy.Named, values []*genie.Value, files map[string]string) error {
	for i, v := range values {
		t, err := v.Tensor(ctx)
		if err != nil {
			return err
		}
		name := outputs[i].Name
		if file := files[name]; file != "" {
			if err := writeArray(ctx, file, t); err != nil {
				return fmt.Errorf("--output %s: %w", name, err)
			}
		}
		report.Outputs = append(report.Outputs, outputReport{name, t.DType.String(), t.Shape, files[name], firstElements(t)})
	}
	if o.json {
		return a.printJSON(report)
	}
	for _, out := range report.Outputs {
		var text []string
		for _, f := range out.First {
			text = append(text, fmt.Sprintf("%.6v", f))
		}
		if n := elementCount(out.Shape); n > len(text) {
			text = append(text, "…")
		}
		to := ""
		if out.File != "" {
			to = " -> " + out.File
		}
		if err := a.printf("%s %s%s%s: %s\n", out.Name, out.DType, dims(out.Shape), to, strings.Join(text, " ")); err != nil {
			return err
		}
	}
	return nil
}

func elementCount(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// dims is a shape as programs write it.
func dims(shape []int) string {
	text := make([]string, len(shape))
	for i, n := range shape {
		text[i] = strconv.Itoa(n)
	}
	return "[" + strings.Join(text, ", ") + "]"
}

func writeArray(ctx context.Context, path string, t transport.Tensor) error {
	f, err := atomicfile.CreateContext(ctx, path)
	if err != nil {
		return err
	}
	defer f.Abort() //nolint:errcheck // after Commit it does nothing
	if err := npy.Write(f, t); err != nil {
		return err
	}
	return f.Commit()
}

// firstElements are the first elements: numbers, and words for what is none in JSON.
func firstElements(t transport.Tensor) []any {
	size := t.DType.Size()
	out := []any{}
	for at := 0; at+size <= len(t.Data) && len(out) < shownElements; at += size {
		b := t.Data[at:]
		var f float64
		switch t.DType {
		case plan.F32:
			f = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		case plan.I32:
			f = float64(int32(binary.LittleEndian.Uint32(b)))
		case plan.I64:
			f = float64(int64(binary.LittleEndian.Uint64(b)))
		case plan.Bool:
			f = float64(b[0])
		default:
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			out = append(out, strconv.FormatFloat(f, 'g', -1, 64))
			continue
		}
		out = append(out, f)
	}
	return out
}

package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/lazy/onnx"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// isONNX reports whether a model is an ONNX file.
func isONNX(model string) bool { return strings.HasSuffix(strings.ToLower(model), ".onnx") }

// sizesOf reads NAME=SIZE flags.
func sizesOf(list []string) (plan.Bindings, error) {
	out := plan.Bindings{}
	for _, s := range list {
		name, text, ok := strings.Cut(s, "=")
		n, err := strconv.Atoi(text)
		if !ok || err != nil || n < 0 || !plan.ValidSymbol(name) {
			return nil, usagef("--dim is %q, not NAME=SIZE", s)
		}
		out[name] = n
	}
	return out, nil
}

// explainONNX explains an ONNX model for the sizes of --dim.
func (a *app) explainONNX(cmd *cobra.Command, o *explainOptions, policy semantic.Policy, device semantic.Device) error {
	for _, name := range []string{"phase", "batch", "texts", "seq", "past", "hashes"} {
		if cmd.Flags().Changed(name) {
			return usagef("--%s is not for an ONNX file; its sizes are --dim NAME=SIZE", name)
		}
	}
	sizes, err := sizesOf(o.dims)
	if err != nil {
		return err
	}
	p, err := a.openONNX(cmd.Context(), o.model)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := checkSizes(p, sizes); err != nil {
		return err
	}
	srg, err := semantic.Analyze(p.Graph)
	if err != nil {
		return err
	}
	e, err := o.over.explain(device, srg, policy, sizes, p.Outputs())
	if err != nil {
		return err
	}
	return a.printExplanation(o.format, e)
}

// checkSizes holds --dim to the symbols of the inputs.
func checkSizes(p *onnx.Program, sizes plan.Bindings) error {
	var symbols []string
	for _, in := range p.Inputs() {
		for _, d := range in.Shape() {
			symbols = d.Symbols(symbols)
		}
	}
	slices.Sort(symbols)
	symbols = slices.Compact(symbols)
	var missing []string
	for _, s := range symbols {
		if _, ok := sizes[s]; !ok {
			missing = append(missing, "--dim "+s+"=SIZE")
		}
	}
	if len(missing) > 0 {
		return usagef("missing: %s", strings.Join(missing, ", "))
	}
	for name := range sizes {
		if !slices.Contains(symbols, name) {
			return &usageError{errors.Join(fmt.Errorf("--dim %s: the model has no such dimension", name))}
		}
	}
	return nil
}

package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/families"
)

// familyOf finds the family of a checkpoint. It refuses one that the command
// does not accept, before it looks for the weights.
func familyOf(command, model string, takes func(workloads.Family) bool) (workloads.Family, error) {
	kind, err := families.TypeOf(model)
	if err != nil {
		return workloads.Family{}, err
	}
	f, ok := families.Of(kind)
	if !ok || !takes(f) {
		var names []string
		for _, f := range familiesThat(takes) {
			names = append(names, strconv.Quote(f.Name))
		}
		return workloads.Family{}, fmt.Errorf("%w: %s is a checkpoint of model_type %q; %s takes %s", workloads.ErrFamily, model, kind, command, either(names))
	}
	return f, nil
}

// familiesThat are the families that a command accepts.
func familiesThat(takes func(workloads.Family) bool) []workloads.Family {
	var list []workloads.Family
	for _, f := range families.All() {
		if takes(f) {
			list = append(list, f)
		}
	}
	return list
}

// titles are the display names of families.
func titles(list []workloads.Family) string {
	var names []string
	for _, f := range list {
		names = append(names, f.Title)
	}
	return either(names)
}

// either joins names with commas and an "or".
func either(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// anyFamily accepts every model.
func anyFamily(workloads.Family) bool { return true }

// classifies accepts classifiers of images.
func classifies(f workloads.Family) bool { return f.ImageProcessor != "" }

// generates accepts language models.
func generates(f workloads.Family) bool { return f.Generates }

// sizesTable has a line for each family with the flags for the sizes of a run.
func sizesTable() string {
	var b strings.Builder
	for _, f := range families.All() {
		var flags []string
		if f.Takes(workloads.SizePast) {
			flags = append(flags, "--phase prefill|decode")
		}
		for _, s := range f.Sizes {
			flags = append(flags, "--"+s.Name+" "+s.Of)
		}
		fmt.Fprintf(&b, "  %-9s %s\n", f.Title, strings.Join(flags, ", "))
	}
	return b.String()
}

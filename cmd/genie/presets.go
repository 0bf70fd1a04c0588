package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/families"
)

// preset is an architecture that models lists and models new writes.
type preset struct {
	Name       string `json:"name"`
	Family     string `json:"family"` // model_type
	Parameters int64  `json:"parameters"`
	Bytes      int64  `json:"bytes"`  // of a float32 checkpoint
	Layers     int    `json:"layers"` // of all parts
	Hidden     int    `json:"hidden"` // the widest
	Heads      int    `json:"heads,omitempty"`
	Vocab      int    `json:"vocab,omitempty"`
	Context    int    `json:"context,omitempty"` // tokens
	Image      int    `json:"image,omitempty"`   // height and width
	Classes    int    `json:"classes,omitempty"`

	write workloads.NewCheckpoint
}

// presets are the architectures, by family, smallest first.
func presets() []preset {
	var list []preset
	for _, f := range families.All() {
		if f.Presets == nil {
			continue
		}
		for _, p := range f.Presets() {
			list = append(list, preset{
				Name: p.Name, Family: f.Name, Parameters: p.Parameters, Bytes: 4 * p.Parameters, Layers: p.Layers, Hidden: p.Hidden,
				Heads: p.Heads, Vocab: p.Vocab, Context: p.Context, Image: p.Image, Classes: p.Classes, write: p.Write,
			})
		}
	}
	return list
}

// presetNamed finds one.
func presetNamed(name string) (preset, bool) {
	list := presets()
	i := slices.IndexFunc(list, func(p preset) bool { return p.Name == name })
	if i < 0 {
		return preset{}, false
	}
	return list[i], true
}

func presetNames() string {
	var names []string
	for _, p := range presets() {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// takes describes the inputs of a model.
func (p preset) takes() string {
	var parts []string
	if p.Image > 0 {
		parts = append(parts, fmt.Sprintf("%dx%d images", p.Image, p.Image))
	}
	if p.Context > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens of %d", p.Context, p.Vocab))
	}
	if p.Classes > 0 {
		parts = append(parts, fmt.Sprintf("%d classes", p.Classes))
	}
	return strings.Join(parts, ", ")
}

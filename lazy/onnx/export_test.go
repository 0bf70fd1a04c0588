package onnx

import (
	"maps"
	"slices"
)

// Operators are the operators of the standard domain that are imported.
func Operators() []string { return slices.Sorted(maps.Keys(standard())) }

// RefusedOperators are those that are refused by name, with the reasons.
func RefusedOperators() map[string]string { return refusedOperators }

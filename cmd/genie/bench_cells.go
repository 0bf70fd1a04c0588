package main

import (
	"context"
	"errors"

	"github.com/genie-sdk/go/baselines/matrix"
)

// errNoCells says that a selection has nothing to measure.
var errNoCells = errors.New("genie: no cells")

// selection is which part of the matrix is wanted. Empty lists are everything.
type selection struct {
	Scale     string
	Nets      []string
	Workloads []string
	Baselines []string
}

// cells are the cells of a selection, one group a workload and link.
func cells(context.Context, selection) ([][]matrix.Cell, error) { return nil, errNoCells }

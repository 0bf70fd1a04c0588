// Package workloads is what the workloads of the evaluation have in common: a
// model, fixed inputs, and the output that another implementation computed from
// them. The workloads themselves are the packages below this one; package
// baselines runs each in every configuration.
package workloads

// Package workloads defines what the workloads of the evaluation have in
// common: a model, constant inputs, and the output that another implementation
// computed from them. The packages below this one are the workloads; package
// baselines runs each in every configuration.
package workloads

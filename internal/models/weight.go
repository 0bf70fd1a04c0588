package models

import (
	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// floats are the storage types that models compute with.
var floats = []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16}

// Weight is the tensor of a checkpoint that its family calls tensor, under the
// name that a program gives it. The hashes are known. A tensor that is missing,
// is not a float type, or has another shape is an error that names it.
func Weight(files *checkpoint.Model, names *checkpoint.Resolver, tensor, name string, shape []int) (transport.Weight, error) {
	want := make([]int64, len(shape))
	for i, n := range shape {
		want[i] = int64(n)
	}
	found, t, err := names.Need(tensor, floats, want)
	if err != nil {
		return transport.Weight{}, err
	}
	h, err := files.Hash(found)
	if err != nil {
		return transport.Weight{}, err
	}
	w := weight(name, plan.Hash(h), shape, t)
	w.Distrust = files.Distrust
	return w, nil
}

func weight(name string, hash plan.Hash, shape []int, t safetensors.Tensor) transport.Weight {
	return transport.Weight{Name: name, Hash: hash, Storage: storages[t.DType], Shape: shape, Data: t.Data, File: t.File, Release: t.Release}
}

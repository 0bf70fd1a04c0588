// Package steptime predicts how long a worker's steps take for a decoder on a
// device, from the cost model alone: no weights are needed, and nothing runs.
//
//	d := steptime.Decoder{Layers: 32, Hidden: 4096, Heads: 32, KVHeads: 8, Inner: 14336, Vocab: 32000, Storage: plan.BF16}
//	t, err := d.Times(device)
//	t.Prefill(512, 0)        // seconds of 512 rows of a prompt after an empty cache
//	t.Decode(8) + 8*t.Row(1024) // seconds of one token for 8 sequences, each with 1024 cached rows
//
// The decoder is captured as a program, analysed and compiled as every program
// is ([semantic.SRG.KernelsOn]), and its kernels are priced by
// [semantic.Device.KernelSeconds]: by the device's calibrated curves where it
// has them, else by its rates.
package steptime

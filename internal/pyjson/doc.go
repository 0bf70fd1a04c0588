// Package pyjson reads the JSON files of a model directory as Python, which
// wrote them, reads them: NaN and Infinity are numbers, keys are told apart by
// case, a key that nobody asks for may hold anything.
//
//	o, err := pyjson.Parse(text)
//	if err != nil { ... }
//	r := o.Reader()
//	r.Int("n_layer", &layers) // stays as it is where the file is silent
//	if r.Err() != nil { ... } // names the key and what it holds
package pyjson

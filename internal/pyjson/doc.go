// Package pyjson reads the JSON files of a model directory like Python, which
// wrote them: NaN and Infinity are numbers, keys are case-sensitive, and keys
// that are not read may hold anything.
//
//	o, err := pyjson.Parse(text)
//	if err != nil { ... }
//	r := o.Reader()
//	r.Int("n_layer", &layers) // unchanged if the key is absent
//	if r.Err() != nil { ... } // names the key and its value
package pyjson

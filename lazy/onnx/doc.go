// Package onnx captures ONNX models as lazy programs.
//
//	p, err := onnx.Open(ctx, "model.onnx")
//	if err != nil { ... }
//	defer p.Close()
//	out, err := session.Run(ctx, genie.Feed{"input": image}, p.Output("logits"))
//
// A model is data: nothing that its file contains is executed. Operators become
// those of this module, model-local functions are inlined, initialisers become
// weights that are named by their content, and the program runs wherever any
// other captured program runs.
//
// # Shapes
//
// Dimensions that the model names (dim_param) are symbolic under that name, and
// an expression such as "past_sequence_length + 1" is read as one. Exporters
// compute shapes with operators: Shape, Gather, Concat, Reshape and others. Such
// chains are evaluated while the model is read, element by element, where an
// element is a number or a [plan.Dim], so that axes that vary stay symbolic. A
// shape that depends on the values of an input is refused, unless the value is
// given ([WithValue], [WithShapeValue]).
//
// # What is refused
//
// What cannot be computed is never guessed. [Open] returns a [*RefusedError] that
// lists every node that is refused, with its reason; a model that is read runs
// whole. Refused are operators that the table of docs/onnx.md does not name,
// element types other than float32, int32, int64 and bool (constants and
// initialisers of float16 and bfloat16 are widened), and control flow that depends on data.
package onnx

// Package onnxfile reads ONNX model files: protocol buffers of the messages in
// onnx.proto3 of the ONNX project
// (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3), and the files of
// external data beside them.
//
//	f, err := onnxfile.Open("model.onnx")
//	if err != nil { ... }
//	defer f.Close()
//	for _, n := range f.Model.Graph.Nodes { ... }
//
// The file is mapped and read by hand, so that the content of tensors stays where
// it is. Nothing that a file says is executed. What it claims is bounded before it
// is believed (see the limits in limits.go), and a false claim is [ErrMalformed].
// External data is opened only inside the model's folder, whatever names the file
// contains and wherever links point.
package onnxfile

package baselines_test

import (
	"testing"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/workloads/llm"
	"github.com/genie-sdk/go/workloads/micro"
	"github.com/genie-sdk/go/workloads/vision"
	"github.com/genie-sdk/go/workloads/vqa"
)

// Each workload with each baseline.

func BenchmarkLLMDecode_LocalPyTorch(b *testing.B) { cases(b, llm.Decode, baselines.LocalPyTorch()) }

func BenchmarkLLMDecode_CaptureOnly(b *testing.B) { cases(b, llm.Decode, baselines.CaptureOnly()) }

func BenchmarkLLMDecode_LocalRemote(b *testing.B) { cases(b, llm.Decode, baselines.LocalRemote()) }

func BenchmarkLLMDecode_NoSemantics(b *testing.B) { cases(b, llm.Decode, baselines.NoSemantics()) }
func BenchmarkLLMDecode_Full(b *testing.B)        { cases(b, llm.Decode, baselines.Full()) }
func BenchmarkLLMDecode_PyTorchRPC(b *testing.B)  { cases(b, llm.Decode, baselines.PyTorchRPC()) }
func BenchmarkLLMDecode_Ray(b *testing.B)         { cases(b, llm.Decode, baselines.Ray()) }
func BenchmarkLLMDecode_FullRPC(b *testing.B)     { cases(b, llm.Decode, baselines.FullRPC()) }
func BenchmarkLLMDecode_ONNXRuntime(b *testing.B) { cases(b, llm.Decode, baselines.ONNXRuntime()) }

func BenchmarkLLMDecode_LlamaCppRPC(b *testing.B) { cases(b, llm.Decode, baselines.LlamaCppRPC()) }

func BenchmarkLLMDecode_LocalGorgonia(b *testing.B) { cases(b, llm.Decode, baselines.LocalGorgonia()) }

func BenchmarkLLMDecode_Ablation(b *testing.B) { cases(b, llm.Decode, baselines.Ablations()...) }

func BenchmarkLLMPrefill_LocalPyTorch(b *testing.B) { cases(b, llm.Prefill, baselines.LocalPyTorch()) }

func BenchmarkLLMPrefill_CaptureOnly(b *testing.B) { cases(b, llm.Prefill, baselines.CaptureOnly()) }

func BenchmarkLLMPrefill_LocalRemote(b *testing.B) { cases(b, llm.Prefill, baselines.LocalRemote()) }

func BenchmarkLLMPrefill_NoSemantics(b *testing.B) { cases(b, llm.Prefill, baselines.NoSemantics()) }
func BenchmarkLLMPrefill_Full(b *testing.B)        { cases(b, llm.Prefill, baselines.Full()) }
func BenchmarkLLMPrefill_PyTorchRPC(b *testing.B)  { cases(b, llm.Prefill, baselines.PyTorchRPC()) }
func BenchmarkLLMPrefill_Ray(b *testing.B)         { cases(b, llm.Prefill, baselines.Ray()) }
func BenchmarkLLMPrefill_FullRPC(b *testing.B)     { cases(b, llm.Prefill, baselines.FullRPC()) }
func BenchmarkLLMPrefill_ONNXRuntime(b *testing.B) { cases(b, llm.Prefill, baselines.ONNXRuntime()) }

func BenchmarkLLMPrefill_LlamaCppRPC(b *testing.B) { cases(b, llm.Prefill, baselines.LlamaCppRPC()) }

func BenchmarkLLMPrefill_LocalGorgonia(b *testing.B) {
	cases(b, llm.Prefill, baselines.LocalGorgonia())
}
func BenchmarkLLMPrefill_Ablation(b *testing.B) { cases(b, llm.Prefill, baselines.Ablations()...) }

func BenchmarkVisionCNN_LocalPyTorch(b *testing.B) { cases(b, vision.Name, baselines.LocalPyTorch()) }

func BenchmarkVisionCNN_CaptureOnly(b *testing.B) { cases(b, vision.Name, baselines.CaptureOnly()) }

func BenchmarkVisionCNN_LocalRemote(b *testing.B) { cases(b, vision.Name, baselines.LocalRemote()) }

func BenchmarkVisionCNN_NoSemantics(b *testing.B) { cases(b, vision.Name, baselines.NoSemantics()) }
func BenchmarkVisionCNN_Full(b *testing.B)        { cases(b, vision.Name, baselines.Full()) }
func BenchmarkVisionCNN_PyTorchRPC(b *testing.B)  { cases(b, vision.Name, baselines.PyTorchRPC()) }
func BenchmarkVisionCNN_Ray(b *testing.B)         { cases(b, vision.Name, baselines.Ray()) }
func BenchmarkVisionCNN_FullRPC(b *testing.B)     { cases(b, vision.Name, baselines.FullRPC()) }
func BenchmarkVisionCNN_ONNXRuntime(b *testing.B) { cases(b, vision.Name, baselines.ONNXRuntime()) }

func BenchmarkMultimodalVQA_LocalPyTorch(b *testing.B) { cases(b, vqa.Name, baselines.LocalPyTorch()) }

func BenchmarkMultimodalVQA_CaptureOnly(b *testing.B) { cases(b, vqa.Name, baselines.CaptureOnly()) }

func BenchmarkMultimodalVQA_LocalRemote(b *testing.B) { cases(b, vqa.Name, baselines.LocalRemote()) }

func BenchmarkMultimodalVQA_NoSemantics(b *testing.B) { cases(b, vqa.Name, baselines.NoSemantics()) }
func BenchmarkMultimodalVQA_Full(b *testing.B)        { cases(b, vqa.Name, baselines.Full()) }
func BenchmarkMultimodalVQA_PyTorchRPC(b *testing.B)  { cases(b, vqa.Name, baselines.PyTorchRPC()) }
func BenchmarkMultimodalVQA_Ray(b *testing.B)         { cases(b, vqa.Name, baselines.Ray()) }
func BenchmarkMultimodalVQA_FullRPC(b *testing.B)     { cases(b, vqa.Name, baselines.FullRPC()) }
func BenchmarkMultimodalVQA_ONNXRuntime(b *testing.B) { cases(b, vqa.Name, baselines.ONNXRuntime()) }

func BenchmarkMicro_LocalPyTorch(b *testing.B) { cases(b, micro.Name, baselines.LocalPyTorch()) }
func BenchmarkMicro_CaptureOnly(b *testing.B)  { cases(b, micro.Name, baselines.CaptureOnly()) }
func BenchmarkMicro_LocalRemote(b *testing.B)  { cases(b, micro.Name, baselines.LocalRemote()) }
func BenchmarkMicro_NoSemantics(b *testing.B)  { cases(b, micro.Name, baselines.NoSemantics()) }
func BenchmarkMicro_Full(b *testing.B)         { cases(b, micro.Name, baselines.Full()) }
func BenchmarkMicro_PyTorchRPC(b *testing.B)   { cases(b, micro.Name, baselines.PyTorchRPC()) }
func BenchmarkMicro_Ray(b *testing.B)          { cases(b, micro.Name, baselines.Ray()) }
func BenchmarkMicro_FullRPC(b *testing.B)      { cases(b, micro.Name, baselines.FullRPC()) }

func BenchmarkLLMDecode_FullOneThread(b *testing.B) {
	cases(b, llm.Decode, baselines.FullOneThread())
}

func BenchmarkLLMDecode_FullTwoThreads(b *testing.B) {
	cases(b, llm.Decode, baselines.FullTwoThreads())
}

func BenchmarkLLMDecode_Full2wPipeline(b *testing.B) {
	cases(b, llm.Decode, baselines.Full2wPipeline())
}

func BenchmarkLLMDecode_Full2wBranches(b *testing.B) {
	cases(b, llm.Decode, baselines.Full2wBranches())
}

func BenchmarkLLMPrefill_FullOneThread(b *testing.B) {
	cases(b, llm.Prefill, baselines.FullOneThread())
}

func BenchmarkLLMPrefill_FullTwoThreads(b *testing.B) {
	cases(b, llm.Prefill, baselines.FullTwoThreads())
}

func BenchmarkLLMPrefill_Full2wPipeline(b *testing.B) {
	cases(b, llm.Prefill, baselines.Full2wPipeline())
}

func BenchmarkLLMPrefill_Full2wBranches(b *testing.B) {
	cases(b, llm.Prefill, baselines.Full2wBranches())
}

func BenchmarkVisionCNN_FullOneThread(b *testing.B) {
	cases(b, vision.Name, baselines.FullOneThread())
}

func BenchmarkVisionCNN_FullTwoThreads(b *testing.B) {
	cases(b, vision.Name, baselines.FullTwoThreads())
}

func BenchmarkVisionCNN_Full2wPipeline(b *testing.B) {
	cases(b, vision.Name, baselines.Full2wPipeline())
}

func BenchmarkVisionCNN_Full2wBranches(b *testing.B) {
	cases(b, vision.Name, baselines.Full2wBranches())
}

func BenchmarkMultimodalVQA_FullOneThread(b *testing.B) {
	cases(b, vqa.Name, baselines.FullOneThread())
}

func BenchmarkMultimodalVQA_FullTwoThreads(b *testing.B) {
	cases(b, vqa.Name, baselines.FullTwoThreads())
}

func BenchmarkMultimodalVQA_Full2wPipeline(b *testing.B) {
	cases(b, vqa.Name, baselines.Full2wPipeline())
}

func BenchmarkMultimodalVQA_Full2wBranches(b *testing.B) {
	cases(b, vqa.Name, baselines.Full2wBranches())
}

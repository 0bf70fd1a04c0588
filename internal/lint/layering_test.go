package lint

const module = "github.com/genie-sdk/go"

// layer lists what the packages of one pattern may import from this module. A
// pattern is a path below the module's, "x/..." standing for x and everything
// below it; the first layer that matches a package applies.
type layer struct {
	pkg string
	may []string
}

// ofFamilies is what families of models may import. They are written as others
// write theirs, on public packages; the exceptions write checkpoints with random
// weights.
var ofFamilies = []string{
	"genie", "internal/randomweights", "internal/safetensors", "lazy", "transport", "transport/plan", "workloads", "workloads/activation",
	"workloads/checkpoint", "workloads/generation", "workloads/tokenizer",
}

// layers is the complete list: a package that no pattern matches is an error,
// so that a new package states its place.
var layers = []layer{
	// The contract. Third parties build executors on it, so plan depends on
	// nothing in this module, and transport only on plan and on the guard of
	// reads of mapped files.
	{"transport/plan", []string{"transport/plan/internal/..."}},
	{"transport/plan/internal/...", nil},
	{"transport", []string{"internal/memory", "transport/plan"}},
	{"transport/loops", []string{"transport"}},
	{"transport/custom", []string{"transport", "transport/plan"}},
	{"transport/conformance", []string{"transport", "transport/plan"}},

	// The wire, and the client's half of it.
	{"transport/wire/wirepb", nil},
	{"transport/wire", []string{"internal/memory", "transport", "transport/plan", "transport/wire/wirepb"}},
	{"transport/wire/grpcwire", []string{"transport", "transport/plan", "transport/wire"}},
	{"transport/wire/tlswire", []string{"transport/plan", "transport/wire"}},
	{"transport/internal/remote", []string{"internal/memory", "transport", "transport/plan", "transport/wire", "transport/wire/wirepb"}},
	{"transport/credentials", nil},
	{"transport/internal/secure", []string{"transport", "transport/credentials", "transport/wire/tlswire"}},
	{"transport/tcp", []string{"transport", "transport/credentials", "transport/internal/remote", "transport/internal/secure", "transport/wire"}},
	{"transport/rpc", []string{
		"transport", "transport/credentials", "transport/internal/remote", "transport/internal/secure",
		"transport/wire", "transport/wire/grpcwire",
	}},
	{"transport/link", []string{"transport"}},

	// Computation. The engine uses the contract's vocabulary (handles, errors,
	// statistics), hence package transport.
	{"internal/halt", nil},
	{"internal/kernels", []string{"internal/halt"}},
	{"internal/memory", nil},
	{"internal/benchname/...", []string{"internal/benchname/..."}},
	{"internal/fault", []string{"transport/wire"}},
	{"internal/op", []string{"internal/halt", "transport", "transport/custom", "transport/plan"}},
	{"internal/spellings", []string{"internal/lazygraph", "internal/op", "lazy", "transport", "transport/plan"}},
	{"internal/program", []string{"internal/op", "transport", "transport/custom", "transport/plan"}},
	{"internal/planmaker", []string{"internal/op", "transport", "transport/plan"}},
	{"internal/budget", []string{"transport"}},
	{"internal/kernelchoice", []string{"internal/op", "internal/program", "transport/plan"}},
	{"internal/device", []string{"internal/budget", "internal/halt", "internal/op", "internal/program", "transport", "transport/plan"}},
	{"internal/device/cpu", []string{
		"internal/budget", "internal/device", "internal/halt", "internal/kernelchoice", "internal/kernels", "internal/memory", "internal/op", "internal/program",
		"transport", "transport/plan",
	}},
	{"internal/engine", []string{"internal/budget", "internal/device", "internal/halt", "internal/memory", "internal/op", "internal/program", "transport", "transport/custom", "transport/plan"}},
	{"internal/device/opaque", []string{
		"internal/budget", "internal/device", "internal/halt", "internal/op", "internal/program", "transport", "transport/plan",
	}},
	{"internal/device/devicetest", []string{
		"internal/budget", "internal/device", "internal/engine", "internal/op", "internal/planmaker", "internal/program", "transport", "transport/plan",
	}},
	{"internal/device/mixed", []string{
		"internal/budget", "internal/device", "internal/halt", "internal/kernelchoice", "internal/op", "internal/program", "transport", "transport/plan",
	}},
	{"internal/device/null", []string{
		"internal/device", "internal/halt", "internal/op", "internal/program", "transport", "transport/plan",
	}},
	{"internal/device/cuda/driver", nil},
	{"internal/device/cuda/kernels", []string{"internal/device/cuda/driver", "internal/op", "transport", "transport/plan"}},
	{"internal/device/cuda/emulator", []string{"internal/device/cuda/driver"}},
	{"internal/device/cuda", []string{
		"internal/budget", "internal/device", "internal/device/cuda/driver", "internal/device/cuda/kernels", "internal/halt", "internal/kernelchoice", "internal/kernels", "internal/op", "internal/program", "transport", "transport/plan",
	}},
	{"internal/device/cuda/drivertest", []string{"internal/device/cuda/driver"}},
	{"internal/device/cuda/cudatest", nil},
	{"internal/device/cuda/kernels/ptxas", nil},
	{"internal/device/cuda/kernels/compile", []string{"internal/device/cuda/kernels/ptxas"}},
	{"internal/device/cuda/cudriver", []string{"internal/device/cuda/driver"}},
	{"internal/host/cudahost", []string{"internal/device", "internal/device/cuda", "internal/device/cuda/driver", "internal/device/cuda/kernels", "internal/host", "transport/plan"}},
	{"internal/host", []string{"internal/device/...", "internal/engine", "internal/memory", "transport"}},
	{"internal/tickets", []string{"transport"}},
	{"internal/peers", []string{"transport", "transport/credentials", "transport/rpc", "transport/tcp"}},
	{"internal/inprocess", []string{"internal/engine", "internal/host", "internal/memory", "internal/tickets", "transport", "transport/loops", "transport/plan"}},
	{"transport/local", []string{"internal/engine", "internal/host", "internal/inprocess", "transport", "transport/custom"}},
	{"internal/admission", nil},
	{"internal/connlimit", []string{"transport"}},
	{"internal/worker", []string{
		"internal/admission", "internal/budget", "internal/checkpoint", "internal/connlimit", "internal/engine", "internal/host", "internal/memory", "internal/safetensors",
		"internal/tickets", "internal/weightcache", "internal/worker/meter",
		"transport", "transport/loops", "transport/plan", "transport/wire/...",
	}},
	{"internal/weightcache", []string{"transport", "transport/plan"}},
	{"internal/worker/meter", []string{"transport", "transport/wire"}},
	{"internal/worker/metrics", []string{"internal/worker/meter", "transport", "transport/plan", "transport/wire"}},
	{"internal/worker/admin", []string{"internal/connlimit"}},
	{"internal/worker/...", []string{
		"internal/checkpoint", "internal/engine", "internal/host", "internal/peers", "internal/safetensors", "internal/worker/...",
		"transport", "transport/credentials", "transport/plan", "transport/wire/...",
	}},
	{"worker", []string{"internal/engine", "internal/host", "internal/worker", "transport/custom"}},
	{"internal/access", []string{"internal/connlimit", "transport"}},

	// A fleet: pure decisions, and who is there. What links a directory's client is
	// a package of its own that neither the SDK nor a worker imports.
	{"fleet/route", []string{"transport/plan"}},
	{"internal/fleet/steptime", []string{"lazy", "semantic", "transport", "transport/plan"}},
	{"internal/fleet/simulation", []string{"fleet/route", "internal/fleet/steptime", "semantic", "transport/plan"}},
	{"fleet", []string{"fleet/route", "transport"}},
	{"fleet/natskv", []string{"fleet", "transport", "transport/credentials"}},
	{"internal/fleettest", []string{"fleet", "fleet/route", "transport"}},
	{"internal/natsserver", nil},

	// Programs and their meaning.
	{"internal/lazygraph", []string{"internal/op", "transport/plan"}},
	{"lazy", []string{"internal/lazygraph", "internal/op", "transport", "transport/custom", "transport/plan"}},
	{"lazy/gorgonia", []string{"internal/lazygraph", "internal/op", "lazy", "transport", "transport/plan"}},
	{"internal/normal", []string{"internal/axes", "internal/lazygraph", "internal/op", "lazy", "transport", "transport/plan"}},
	{"semantic", []string{"internal/axes", "internal/kernelchoice", "internal/lazygraph", "internal/normal", "internal/op", "internal/program", "lazy", "transport/custom", "transport/plan"}},
	{"internal/axes", []string{"transport/plan"}},
	{"lazy/onnx", []string{"internal/lazygraph", "internal/onnxfile", "internal/op", "lazy", "transport", "transport/plan"}},
	{"internal/measure", []string{"semantic", "transport"}},
	{"genie", []string{"fleet", "fleet/route", "internal/measure", "lazy", "semantic", "transport/..."}},
	{"genie/otelgenie", []string{"transport"}},

	// Models and their files.
	{"internal/safetensors/atomicfile", nil},
	{"internal/safetensors", []string{"internal/memory", "internal/safetensors/atomicfile"}},
	{"internal/pyjson", nil},
	{"internal/npy", []string{"transport", "transport/plan"}},
	{"internal/onnxfile", []string{"internal/checkpoint", "internal/memory"}},
	{"internal/onnxfile/onnxtest", nil},
	{"internal/checkpoint", []string{"internal/pyjson", "internal/safetensors/..."}},
	{"internal/checkpoint/checkpointtest", []string{"internal/pyjson", "internal/safetensors"}},
	{"internal/randomweights", []string{"internal/safetensors/...", "transport", "transport/plan"}},
	{"workloads/tokenizer", []string{"internal/pyjson"}},
	{"internal/imaging", []string{"internal/pyjson"}},
	{"internal/models", []string{"internal/checkpoint", "internal/safetensors/...", "transport", "transport/plan"}},
	{"workloads/activation", []string{"lazy"}},
	{"workloads/checkpoint", []string{
		"internal/checkpoint", "internal/models", "internal/pyjson", "internal/safetensors/...", "lazy", "transport", "transport/plan",
	}},
	{"workloads/bert", ofFamilies},
	{"workloads/clip", ofFamilies},
	{"workloads/easyvqa", ofFamilies},
	{"workloads/gpt2", ofFamilies},
	{"workloads/resnet", ofFamilies},
	{"workloads/vit", ofFamilies},
	{"workloads/...", []string{
		"genie", "internal/checkpoint", "internal/imaging", "internal/models", "internal/pyjson",
		"internal/safetensors/...", "internal/randomweights",
		"lazy", "semantic",
		"transport", "transport/plan", "workloads/...",
	}},

	{"internal/workloadtest", []string{"genie", "internal/safetensors", "internal/worker/workertest", "semantic", "workloads"}},

	{"internal/familytest", []string{
		"genie", "internal/checkpoint/checkpointtest", "internal/pyjson", "internal/worker/workertest", "lazy", "semantic",
		"workloads", "workloads/families",
	}},

	{"testdata/models", nil}, // the model that is built into the command

	// Examples, as others would write them, use only what they can import.
	{"examples/...", []string{
		"genie", "lazy", "semantic", "transport", "transport/local", "transport/plan", "transport/rpc", "transport/tcp",
		"workloads/checkpoint", "workloads/easyvqa", "workloads/gpt2",
	}},

	// The top may use everything.
	{"baselines/results/...", []string{"baselines/results/...", "internal/benchname"}},
	{"baselines/matrix", []string{"baselines/results"}},
	{"baselines/...", []string{"..."}},
	{"cmd/...", []string{"..."}},
	{"internal/lint", nil},
	{"internal/operatortest", nil},
}

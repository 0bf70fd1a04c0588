package kernels

import (
	"embed"
	"fmt"
	"sync"
	"unsafe"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/transport/plan"
)

//go:embed generated
var images embed.FS

// modules are the .cu files, by name without extension, with their kernels.
var modules = map[string][]string{
	"attend_few": {"attend_few"},
	"attention":  {"attend_tile_64", "attend_tile_128"},
	"copy": {
		"fill_words", "copy_1", "copy_2", "copy_4", "copy_8", "copy_16",
		"transpose_1", "transpose_2", "transpose_4", "transpose_8",
	},
	"gather": {"embedding", "embedding_packed", "pick"},
	"matmul": {"matmul_16", "matmul_64"},
	"norm": {
		"layer_norm", "layer_norm_long", "rms_norm", "rms_norm_long", "softmax", "softmax_long", "log_softmax", "log_softmax_long",
		"batch_norm", "causal_mask",
	},
	"pack": {"pack_32", "pack_16"},
	"pointwise": {
		"unary", "unary_vectors", "binary", "binary_vectors",
		"where_1", "where_4", "where_8", "equal_f32", "equal_i32", "equal_i64", "cast",
	},
	"product": {
		"product_skinny_1", "product_skinny_2", "product_skinny_4", "product_skinny_8",
		"product_tiled_64", "product_tiled_128", "store_words",
	},
	"product16": {
		"product_bf16_skinny_8", "product_bf16_skinny_16", "product_bf16_skinny_32",
		"product_bf16_tiled_32", "product_bf16_tiled_64", "product_bf16_tiled_128", "convert_rows_bf16",
		"product_f16_skinny_8", "product_f16_skinny_16", "product_f16_skinny_32",
		"product_f16_tiled_32", "product_f16_tiled_64", "product_f16_tiled_128", "convert_rows_f16",
	},
	"reduce": {"reduce", "reduce_columns", "max_pool2d"},
	"rope":   {"rope"},
	"sample": {"sample"},
	"select": {"arg_max", "top_k"},
	"state":  {"move_1", "move_2", "move_4", "move_8", "move_16"},
}

// Set is the loaded kernels of one context. It is safe for concurrent use.
type Set struct {
	functions map[string]driver.Function
	props     driver.Properties
	arguments sync.Pool // memory for the arguments of a launch
	indexed   int       // most elements of a launch with an index
}

// maxArguments is the size of the arguments of a kernel, at most.
const maxArguments = 4 << 10

// Load loads all kernels: machine code where it fits the device, else PTX.
func Load(ctx driver.Context) (*Set, error) { return load(ctx, false) }

// LoadPTX loads the PTX of all kernels, whatever the device.
func LoadPTX(ctx driver.Context) (*Set, error) { return load(ctx, true) }

func load(ctx driver.Context, ptx bool) (*Set, error) {
	s := &Set{functions: map[string]driver.Function{}, props: ctx.Properties(), indexed: maxIndexed}
	for name, kernels := range modules {
		file := "generated/sm_80/" + name + ".ptx"
		if !ptx && s.props.Major == 9 && s.props.Minor == 0 {
			file = "generated/sm_90/" + name + ".cubin"
		}
		image, err := images.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("genie: kernels: %w", err)
		}
		m, err := ctx.Load(image)
		if err != nil {
			return nil, fmt.Errorf("genie: kernels %s: %w", file, err)
		}
		for _, k := range kernels {
			if s.functions[k], err = m.Function(k); err != nil {
				return nil, fmt.Errorf("genie: kernel %s of %s: %w", k, file, err)
			}
		}
	}
	return s, s.allowShared()
}

// Tensor is an operand: elements from At on, with strides in elements, 0 where
// it is broadcast. The rank is at most [plan.MaxRank].
type Tensor struct {
	At             driver.Ptr
	DType          plan.DType
	Shape, Strides []int
}

// Len is the number of elements.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// launch launches a kernel with its arguments, a pointer to a struct that
// mirrors the kernel's. The arguments stay on the caller's stack: what the
// driver gets is a copy in memory that launches reuse.
func launch[T any](s *Set, st driver.Stream, name string, grid, block driver.Dim, shared int, args *T) error {
	f := s.functions[name]
	if f == nil {
		return fmt.Errorf("genie: there is no kernel %q", name)
	}
	mem, ok := s.arguments.Get().(*[maxArguments / 8]uint64)
	if !ok {
		mem = new([maxArguments / 8]uint64)
	}
	defer s.arguments.Put(mem)
	own := unsafe.Slice((*byte)(unsafe.Pointer(args)), unsafe.Sizeof(*args))
	b := unsafe.Slice((*byte)(unsafe.Pointer(mem)), maxArguments)
	if err := st.Launch(f, grid, block, shared, b[:copy(b, own)]); err != nil {
		return fmt.Errorf("kernel %s: %w", name, err)
	}
	return nil
}

package cpu

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// step is a group bound to memory for one session and program.
type step struct {
	op    op.Op // of the group's first step
	group *program.Group
	in    []*op.Array
	out   *op.Array
	with  []*op.Array // by stage of the group: the second operand, if any
	// elements are the kernels of the group's stages, or of its single
	// pointwise operator.
	elements []elementwise
	start    *op.Array // attention: padding of each sequence, if any
	scale    float32   // attention: see [program.Attention]
	// keys and values are the pages of an attention's operands, and values
	// those that an append writes to; nil for a value that is not state.
	keys, values *pages
	packed       *weight // in[0] (embedding) or in[1] (matmul) where it is stored in panels
	job          *job
	pool         *pool
	work         *workspace
	scratch      *sampler
	halt         halt.Func // whether to stop; nil for a step that is not a kernel

	rowBlocks, colBlocks int // chunks of a product with one matrix, or of an attention

	conv          kernels.ConvShape
	poolShape     kernels.PoolShape
	residual      *op.Array // convolution: the residual, if any
	turned        op.Array  // convolution: the image with channels last
	turnedStrides [4]int
	packedNow     []byte     // convolution: memory of filters that are not weights
	arrays        []op.Array // convolution: all values of the plan
	prog          *program.Program
	lanes         *lanes      // the lanes of a run
	batch         *batch      // of a joint product
	each          func(i int) // see [batch.Each]
}

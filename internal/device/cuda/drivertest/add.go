package drivertest

import "github.com/genie-sdk/go/internal/device/cuda/driver"

// addPTX adds a number to each of some words. NVRTC 12.9 made it of
//
//	struct Add { unsigned *y; unsigned n, value; };
//	extern "C" __global__ void add(const __grid_constant__ Add a) {
//	  unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
//	  if (i < a.n) a.y[i] += a.value;
//	}
const addPTX = `
.version 8.8
.target sm_80
.address_size 64

	// .globl	add

.visible .entry add(
	.param .align 8 .b8 add_param_0[16]
)
{
	.reg .pred 	%p<2>;
	.reg .b32 	%r<9>;
	.reg .b64 	%rd<8>;


	mov.b64 	%rd2, add_param_0;
	mov.u32 	%r2, %ntid.x;
	mov.u32 	%r3, %ctaid.x;
	mov.u32 	%r4, %tid.x;
	mad.lo.s32 	%r1, %r3, %r2, %r4;
	add.s64 	%rd1, %rd2, 8;
	ld.param.u32 	%r5, [add_param_0+8];
	setp.ge.u32 	%p1, %r1, %r5;
	@%p1 bra 	$L__BB0_2;

	ld.param.u64 	%rd4, [%rd1+-8];
	cvta.to.global.u64 	%rd5, %rd4;
	mul.wide.u32 	%rd6, %r1, 4;
	add.s64 	%rd7, %rd5, %rd6;
	ld.global.u32 	%r6, [%rd7];
	ld.param.u32 	%r7, [%rd1+4];
	add.s32 	%r8, %r6, %r7;
	st.global.u32 	[%rd7], %r8;

$L__BB0_2:
	ret;

}

`

// addArgs mirrors Add.
type addArgs struct {
	y        driver.Ptr
	n, value uint32
}

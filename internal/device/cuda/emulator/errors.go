package emulator

import "github.com/genie-sdk/go/internal/device/cuda/driver"

// Names of the errors that a GPU would not report, in [driver.Error]. Their code
// is that of CUDA_ERROR_LAUNCH_FAILED.
const (
	UnwrittenRead     = "EMULATOR_UNWRITTEN_READ"     // of memory or a register that was never written
	DataRace          = "EMULATOR_DATA_RACE"          // two threads, or streams, and nothing orders them
	BarrierDivergence = "EMULATOR_BARRIER_DIVERGENCE" // threads that wait at different places
	HostCopyRace      = "EMULATOR_HOST_COPY_RACE"     // host memory that changed during a copy
)

// Names of errors of CUDA.
const (
	IllegalAddress    = "CUDA_ERROR_ILLEGAL_ADDRESS"
	MisalignedAddress = "CUDA_ERROR_MISALIGNED_ADDRESS"
	LaunchFailed      = "CUDA_ERROR_LAUNCH_FAILED"
	LaunchTimeout     = "CUDA_ERROR_LAUNCH_TIMEOUT"
	OutOfMemory       = "CUDA_ERROR_OUT_OF_MEMORY"
	InvalidValue      = "CUDA_ERROR_INVALID_VALUE"
	InvalidPTX        = "CUDA_ERROR_INVALID_PTX"
	InvalidImage      = "CUDA_ERROR_INVALID_IMAGE"
	InvalidHandle     = "CUDA_ERROR_INVALID_HANDLE"
	InvalidDevice     = "CUDA_ERROR_INVALID_DEVICE"
	NotFound          = "CUDA_ERROR_NOT_FOUND"
	ContextDestroyed  = "CUDA_ERROR_CONTEXT_IS_DESTROYED"
	NotReady          = "CUDA_ERROR_NOT_READY"
	DeviceUnavailable = "CUDA_ERROR_DEVICE_UNAVAILABLE"
)

// codes are those of CUresult.
var codes = map[string]int{
	InvalidValue: 1, OutOfMemory: 2, DeviceUnavailable: 46, InvalidDevice: 101, InvalidImage: 200, InvalidPTX: 218,
	InvalidHandle: 400, NotFound: 500, NotReady: 600, IllegalAddress: 700, LaunchTimeout: 702, ContextDestroyed: 709,
	MisalignedAddress: 716, LaunchFailed: 719,
	UnwrittenRead: 719, DataRace: 719, BarrierDivergence: 719, HostCopyRace: 719,
}

// NewError is an error of a call, by the name of its code. It is for tests that
// make calls fail.
func NewError(call, name, detail string, sticky bool) *driver.Error {
	return &driver.Error{Call: call, Name: name, Code: codes[name], Detail: detail, Sticky: sticky}
}

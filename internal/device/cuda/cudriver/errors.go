//go:build genie_cuda

package cudriver

// #include "calls.h"
import "C"

import (
	"errors"
	"reflect"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// failed is the error of a call that returned a code.
func failed(call string, code C.CUresult) error {
	if code == driver.CodeSuccess {
		return nil
	}
	return driver.NewError(call, int(code), C.GoString(C.genie_describe(code)))
}

// wrap is the error of a call that gorgonia.org/cu made. Its errors are integers of
// a type that it does not export: codes of CUresult.
func wrap(call string, err error) error {
	if err == nil {
		return nil
	}
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		if v := reflect.ValueOf(cause); v.CanInt() {
			return failed(call, C.CUresult(v.Int()))
		}
	}
	return &driver.Error{Call: call, Code: -1, Name: "unknown", Detail: err.Error()}
}

// invalid is the error of an argument that the driver is not asked about.
func invalid(call, detail string) error {
	return driver.NewError(call, driver.CodeInvalidValue, detail)
}

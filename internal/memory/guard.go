package memory

import (
	"errors"
	"fmt"
	"runtime/debug"
	"unsafe"
)

// ErrFault marks a mapped file that could not be read: it was truncated while
// it was mapped, or its disk failed.
var ErrFault = errors.New("genie: mapped file cannot be read, it was cut short or its disk failed")

// Guard calls f, which may read view, a part of a mapped file. When a mapped
// file is truncated, the pages behind its new end disappear, and reading them
// raises a signal that ends the process. Guard turns that into [ErrFault], with
// f stopped where it was. So f must hold no lock and must change nothing that
// is used after an error.
//
// The guard covers only this goroutine: f reads view itself, and passes it
// neither to another goroutine nor to a system call, which would not report the
// fault.
func Guard(view []byte, f func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		fault, ok := r.(interface{ Addr() uintptr })
		begin := uintptr(unsafe.Pointer(unsafe.SliceData(view)))
		if !ok || fault.Addr()-begin >= uintptr(len(view)) {
			panic(r) // a bug of the program
		}
		err = fmt.Errorf("%w: at byte %d of %d", ErrFault, fault.Addr()-begin, len(view))
	}()
	f()
	return nil
}

// CopyView copies a part of a mapped file, as much as fits into dst.
func CopyView(dst, view []byte) (n int, err error) {
	err = Guard(view, func() { n = copy(dst, view) })
	if err != nil {
		return 0, err
	}
	return n, nil
}

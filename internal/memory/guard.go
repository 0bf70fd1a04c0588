package memory

import (
	"errors"
	"fmt"
	"runtime/debug"
	"unsafe"
)

// ErrFault marks a mapped file that could not be read: it was cut short while
// it was mapped, or its disk failed.
var ErrFault = errors.New("genie: mapped file cannot be read, it was cut short or its disk failed")

// Guard calls f, which may read view, a part of a mapped file. A file that is
// cut short in place takes the pages behind its new end away, and reading them
// is a signal that ends the process; here it is [ErrFault], with f left where
// it was. So f holds no lock and changes nothing that is used after an error.
//
// The guard is of this goroutine alone: f reads view itself, and gives it
// neither to another goroutine nor to the system, which would not say so.
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
			panic(r) // a mistake of the program's
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

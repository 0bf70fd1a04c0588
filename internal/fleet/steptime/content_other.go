//go:build !unix

package steptime

// content is size bytes that nobody reads.
func content(size int) (b []byte, release func(), err error) {
	return make([]byte, size), func() {}, nil
}

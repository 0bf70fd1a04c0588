//go:build !linux

package memory

// copied is a larger mapping with the content of b, which it unmaps.
func copied(b []byte, n int) ([]byte, error) {
	grown, err := Map(n)
	if err != nil {
		return b, err
	}
	copy(grown, b)
	Unmap(b)
	return grown, nil
}

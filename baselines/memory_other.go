//go:build !linux

package baselines

// ResetPeak cannot make the peak start anew on this system.
func ResetPeak() bool { return false }

// Peak is not known on this system.
func Peak() int64 { return 0 }

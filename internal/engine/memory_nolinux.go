//go:build unix && !linux

package engine

func hugePages([]byte) {}

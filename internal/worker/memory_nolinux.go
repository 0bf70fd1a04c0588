//go:build unix && !linux

package worker

func adviseHuge([]byte) {}

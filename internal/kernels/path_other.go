//go:build !amd64 || purego

package kernels

func bestPath() codePath { return pathGeneric }

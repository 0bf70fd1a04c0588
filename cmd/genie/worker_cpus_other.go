//go:build !linux

package main

import "errors"

// pin is not possible here.
func pin([]int) error { return errors.New("--cpus is for Linux") }

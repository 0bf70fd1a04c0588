//go:build genie_nogrpc

package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/genie-sdk/go/genie"
)

// TestNoGRPC verifies that a program without gRPC says so, and reaches nothing
// else instead.
func TestNoGRPC(t *testing.T) {
	err := serve(t.Context(), "grpc://127.0.0.1:1", &bytes.Buffer{})
	if !errors.Is(err, genie.ErrURL) || !strings.Contains(err.Error(), "genie_nogrpc") {
		t.Fatal(err)
	}
}

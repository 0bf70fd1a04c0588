package main

import (
	"context"

	"github.com/genie-sdk/go/transport"
)

// steps hides an executor's loops.
type steps struct{ transport.Executor }

func (s steps) NewSession(ctx context.Context) (transport.Session, error) {
	inner, err := s.Executor.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	return struct{ transport.Session }{inner}, nil
}

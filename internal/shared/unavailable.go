//go:build !linux

package shared

import (
	"context"
	"fmt"
	"time"
)

// HandOver bounds the time in which the memory is handed over.
const HandOver = time.Second

// Offer is an end that waits for the memory of its peer; this system has none.
type Offer struct{}

// Listen is an error on this system.
func Listen() (*Offer, error) { return nil, fmt.Errorf("%w: this system has none", errUnavailable) }

// Name is what the peer is told.
func (o *Offer) Name() string { return "" }

// Close ends the offer.
func (o *Offer) Close([]byte) *Memory { return nil }

// Present is an error on this system.
func Present(context.Context, string, int) (*Memory, []byte, error) {
	return nil, nil, fmt.Errorf("%w: this system has none", errUnavailable)
}

func unmap([]byte) {}

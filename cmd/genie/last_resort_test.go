package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLastResort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		done := endAnyway(ctx, time.Second, func() { close(ended) })
		<-time.After(time.Hour)
		cancel()
		begin := time.Now()
		<-ended
		require.Equal(t, time.Second, time.Since(begin))
		done()
	})
}

// TestNoLastResort has a shutdown that ends in time, and a worker that is not
// stopped.
func TestNoLastResort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		never := func() { t.Error("it was ended") }
		endAnyway(ctx, time.Second, never)()
		done := endAnyway(ctx, time.Second, never)
		cancel()
		<-time.After(time.Second / 2)
		done()
		done()
		<-time.After(time.Hour)
	})
}

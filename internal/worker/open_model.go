package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// modelOpening is the models of the folder that are being opened. To open one for the
// first time is to hash all of it, which nobody's Prepare can be made to wait
// for: it goes on by itself, once, and who waits for it can leave.
type modelOpening struct {
	mu    sync.Mutex
	under map[string]*openedModel // by name of the model
}

// openedModel is one that is being opened, or was.
type openedModel struct {
	done chan struct{}
	err  error // when done is closed
}

// open looks for content in a model, so that the model is open after that, or
// cannot be opened, which is the error.
func (o *modelOpening) open(ctx context.Context, from WeightFinder, model string, content plan.Hash) error {
	o.mu.Lock()
	m := o.under[model]
	if m == nil {
		m = &openedModel{done: make(chan struct{})}
		if o.under == nil {
			o.under = map[string]*openedModel{}
		}
		o.under[model] = m
		go o.find(m, from, model, content)
	}
	o.mu.Unlock()
	select {
	case <-m.done:
		return m.err
	case <-ctx.Done():
		return fmt.Errorf("genie: stopped while a model was opened: %w", context.Cause(ctx))
	}
}

func (o *modelOpening) find(m *openedModel, from WeightFinder, model string, content plan.Hash) {
	defer func() {
		if r := recover(); r != nil {
			m.err = fmt.Errorf("%w: %v", transport.ErrInternal, r)
		}
		o.mu.Lock()
		delete(o.under, model)
		o.mu.Unlock()
		close(m.done)
	}()
	w, err := from.Find(model, content)
	if w.Release != nil {
		w.Release()
	}
	if err != nil && !errors.Is(err, transport.ErrMissingWeight) {
		m.err = err
	}
}

package genie

import (
	"context"
	"errors"
	"time"

	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// retainedPlan is [probePlan] with the product retained, so that it can be sent.
func retainedPlan() (*plan.Plan, error) {
	p, err := probePlan()
	if err != nil {
		return nil, err
	}
	kept := *p
	kept.Outputs = append([]plan.Output(nil), p.Outputs...)
	for i := range kept.Outputs {
		kept.Outputs[i].Place = plan.Retain
	}
	return &kept, kept.Validate()
}

// probeLinks measures the link of each pair of executors: values are sent from
// one to the other. A pair that does not reach each other has no direct link.
func (v *clusterView) probeLinks(ctx context.Context, execs []transport.Executor) error {
	p, err := retainedPlan()
	if err != nil {
		return err
	}
	ends := make([]probeEnd, len(execs))
	for i := range execs {
		s, err := execs[i].NewSession(ctx)
		if err != nil {
			return err
		}
		defer s.Close()
		ends[i].Session = s
		if ends[i].ref, err = s.Prepare(ctx, p, nil, nil); err != nil {
			return err
		}
	}
	v.cluster.Links = make([][]semantic.Link, len(execs))
	for i := range ends {
		v.cluster.Links[i] = make([]semantic.Link, len(execs))
		for j := range ends {
			if i == j {
				continue
			}
			l, err := ends[i].link(ctx, &ends[j])
			switch {
			case err == nil:
				v.cluster.Links[i][j] = l
			case ctx.Err() != nil:
				return err
			}
		}
	}
	return nil
}

// probeEnd is a session that sends and receives values to be measured.
type probeEnd struct {
	transport.Session
	ref transport.PlanRef
}

// link measures the link to another session. An error says that there is none.
func (e *probeEnd) link(ctx context.Context, to *probeEnd) (l semantic.Link, err error) {
	var took [3]time.Duration
	for i, n := range [...]int{probeSmall, probeSmall, probeLarge} { // the first one connects
		if took[i], err = e.send(ctx, to, n); err != nil {
			return l, err
		}
		if i == 1 && took[i] > probePatience {
			return semantic.Link{Rate: 4 * probeSmall * probeSmall / took[i].Seconds(), Delay: took[i], Direct: true}, nil
		}
	}
	l.Direct, l.Delay = true, took[1]
	if rest := took[2] - took[1]; rest > 0 {
		l.Rate = 4 * (probeLarge*probeLarge - probeSmall*probeSmall) / rest.Seconds()
	}
	return l, nil
}

// send is the time to send a value of n rows.
func (e *probeEnd) send(ctx context.Context, to *probeEnd, n int) (took time.Duration, err error) {
	sender, ok := e.Session.(transport.Sender)
	receiver, can := to.Session.(transport.Receiver)
	if !ok || !can {
		return 0, transport.ErrNoPeer
	}
	id, err := sender.PeerID(ctx)
	if err != nil {
		return 0, err
	}
	data := make([]byte, 4*n*n)
	res, err := e.Run(ctx, transport.Call{Plan: e.ref, Bindings: []int{n}, Inputs: []transport.Input{
		{Data: data, Cause: plan.CauseControl}, {Data: data, Cause: plan.CauseControl},
	}})
	if err != nil {
		return 0, err
	}
	h := res.Outputs[0].Handle
	defer func() { err = errors.Join(err, e.Release(ctx, h)) }()
	ticket, err := receiver.Ticket(ctx, transport.TicketSpec{DType: plan.F32, Shape: []int{n, n}, Cause: plan.CauseControl, Sender: id})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, to.Release(ctx, ticket.Handle)) }()
	begin := time.Now()
	err = sender.Send(ctx, h, ticket)
	return time.Since(begin), err
}

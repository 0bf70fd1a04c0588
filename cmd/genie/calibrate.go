package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/micro"
)

// calibrateFlags are doctor's flags about the cost model.
type calibrateFlags struct {
	secure      secureFlags
	on, fastest bool
	rounds      int
	scale       string // as given
}

// calibrationReport is what doctor --calibrate adds to its report.
type calibrationReport struct {
	Executor  string           `json:"executor"`
	Scale     workloads.Scale  `json:"scale"`
	Device    semantic.Device  `json:"device"`
	Judgement *micro.Judgement `json:"judgement"`
	OK        bool             `json:"ok"` // the targets are met
}

// calibrate fits the cost model to an executor and evaluates it.
func calibrate(ctx context.Context, executor string, f calibrateFlags, progress transport.Progress) (*calibrationReport, error) {
	scale, err := workloads.ParseScale(f.scale)
	if err != nil {
		return nil, err
	}
	r := &calibrationReport{Executor: cmp.Or(executor, "local:"), Scale: scale}
	secure, err := f.secure.options()
	if err != nil {
		return nil, err
	}
	client, err := genie.Open(ctx, r.Executor, secure...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	s := micro.Sampling{Rounds: f.rounds, Fastest: f.fastest, Progress: progress}
	if r.Device, r.Judgement, err = micro.Evaluate(ctx, client, micro.SuiteAt(scale), s); err != nil {
		return nil, err
	}
	r.OK = r.Judgement.OK()
	return r, nil
}

// printCalibration writes the table for people.
func (a *app) printCalibration(r *calibrationReport) error {
	d := r.Device
	link := "in-process"
	if d.Link > 0 {
		link = formatBytes(d.Link) + "/s"
	}
	if err := a.printf("\ncost model of %s: %.0f GFLOP/s, %s/s of memory, link %s, %.1f us a call\n\n%-10s %-14s %12s %12s %8s\n",
		r.Executor, d.FLOPS/1e9, formatBytes(d.Bandwidth), link, d.Calibration.Call*1e6, "case", "size", "predicted", "measured", "error"); err != nil {
		return err
	}
	for _, row := range r.Judgement.Rows {
		if err := a.printf("%-10s %-14s %12v %12v %7.1f%%\n", row.Op, row.Size, duration(row.Predicted), duration(row.Measured), 100*row.Error); err != nil {
			return err
		}
	}
	j := r.Judgement
	return a.printf("\nmedian error %.1f%% of operators (at most %.0f%%), %.1f%% of transfers of 1 MiB and more (at most %.0f%%); rank correlation %.3f (at least %.2f)\n",
		100*j.OperatorError, 100*micro.MaxOperatorError, 100*j.TransferError, 100*micro.MaxTransferError, j.Rank, micro.MinRank)
}

func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(100 * time.Nanosecond)
}

// check is the result for the cost model.
func (r *calibrationReport) check() check {
	j := r.Judgement
	c := check{
		"cost model", statusOK,
		fmt.Sprintf("median error %.1f%% of operators, %.1f%% of transfers, rank correlation %.3f", 100*j.OperatorError, 100*j.TransferError, j.Rank),
		map[string]any{"operator_median_error": j.OperatorError, "transfer_median_error": j.TransferError, "rank_correlation": j.Rank},
	}
	if !r.OK {
		c.Status = statusWarn
		c.Detail += ": off target, is the machine quiet?"
	}
	return c
}

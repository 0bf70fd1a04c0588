package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"
	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/workloads"
)

// checkStatus is the result of a check of doctor.
type checkStatus string

const (
	statusOK   checkStatus = "ok"
	statusWarn checkStatus = "warn" // works, but below its potential
	statusFail checkStatus = "fail"
)

// check is one line of doctor.
type check struct {
	Name   string         `json:"name"`
	Status checkStatus    `json:"status"`
	Detail string         `json:"detail"`
	Values map[string]any `json:"values,omitempty"`
}

// doctorReport is what doctor --json prints.
type doctorReport struct {
	OK      bool          `json:"ok"`
	Version versionReport `json:"version"`
	Checks  []check       `json:"checks"`
	// Calibration is set with --calibrate.
	Calibration *calibrationReport `json:"calibration,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	var executor string
	var asJSON bool
	var model calibrateFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check this machine, and a worker if one is named",
		Long: `doctor checks the CPU, the memory and the folders that genie uses, measures the
peak rates of the machine (memory reads, matrix products, loopback TCP) and of each
device beside the CPU, and checks that a worker answers. It exits with 1 when a check fails.

--calibrate measures operators and transfers on the executor, fits the cost model
to them, and compares its predictions with operators and transfers of other
sizes. This takes one to two minutes and about 1.5 GB of memory in each process,
and needs an otherwise idle machine.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), executor, asJSON, model) },
	}
	cmd.Flags().StringVar(&executor, "executor", "", "worker to check, tcp://host:port or grpc://host:port")
	model.secure.flags(cmd.Flags(), "--executor")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	cmd.Flags().BoolVar(&model.on, "calibrate", false, "fit the cost model to the executor and evaluate it")
	cmd.Flags().BoolVar(&model.fastest, "fastest", false, "with --calibrate: use the fastest runs instead of the medians, for a busy machine")
	cmd.Flags().IntVar(&model.rounds, "rounds", 0, "with --calibrate: passes over all cases; 0 means 7")
	cmd.Flags().StringVar(&model.scale, "scale", "small", "with --calibrate: tiny or small")
	return cmd
}

func (a *app) doctor(ctx context.Context, executor string, asJSON bool, model calibrateFlags) error {
	secure, err := model.secure.options()
	if err != nil {
		return err
	}
	checks := []func(context.Context) check{
		checkCPU, checkThreads, checkMemory, checkReads, checkProducts, checkLoopback, checkHashes, checkTemp,
	}
	checks = append(checks, a.checkDevices()...)
	if executor != "" {
		checks = append(checks, func(ctx context.Context) check { return checkExecutor(ctx, executor, secure) })
	}
	r := doctorReport{OK: true, Version: currentVersion()}
	if _, err := workloads.ParseScale(model.scale); err != nil {
		return &usageError{err}
	}
	if model.on {
		checks = append(checks, func(ctx context.Context) check {
			bar := a.progress("measuring")
			bar.plain = true
			defer bar.stop()
			var err error
			if r.Calibration, err = calibrate(ctx, executor, model, bar.report); err != nil {
				return failure("cost model", err)
			}
			return r.Calibration.check()
		})
	}
	failed := 0
	for _, f := range checks {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		c := f(ctx)
		r.Checks = append(r.Checks, c)
		if c.Status == statusFail {
			r.OK = false
			failed++
		}
		if !asJSON {
			if err := a.printf("%-5s %-16s %s\n", c.Status, c.Name, c.Detail); err != nil {
				return err
			}
		}
	}
	if asJSON {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else if r.Calibration != nil {
		if err := a.printCalibration(r.Calibration); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(r.Checks))
	}
	return nil
}

func failure(name string, err error) check {
	return check{Name: name, Status: statusFail, Detail: line(err)}
}

func checkCPU(context.Context) check {
	features := map[string]any{}
	has := []string{}
	for _, f := range []cpuid.FeatureID{
		cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512DQ, cpuid.AVX512BW, cpuid.AVX512VL,
		cpuid.AVX512BF16, cpuid.AMXBF16, cpuid.ASIMD, cpuid.SVE,
	} {
		if cpuid.CPU.Supports(f) {
			has = append(has, f.String())
		}
	}
	features["model"], features["features"], features["kernels"] = cpuid.CPU.BrandName, has, kernels.Path()
	model := cpuid.CPU.BrandName
	if model == "" {
		model = runtime.GOARCH
	}
	c := check{"cpu", statusOK, fmt.Sprintf("%s; %s; kernels %s", model, strings.Join(has, " "), kernels.Path()), features}
	if err := kernels.PathErr(); err != nil {
		c.Status, c.Detail = statusFail, line(err)
	} else if kernels.Path() == "generic" {
		c.Status = statusWarn
		c.Detail += ": portable Go, some ten times slower than AVX2"
	}
	return c
}

func checkThreads(context.Context) check {
	n, procs := runtime.NumCPU(), runtime.GOMAXPROCS(0)
	c := check{"threads", statusOK, fmt.Sprintf("%d CPUs, GOMAXPROCS %d", n, procs), map[string]any{"cpus": n, "gomaxprocs": procs}}
	if procs > n {
		c.Status = statusWarn
		c.Detail += ": more threads than CPUs"
	}
	return c
}

// lowMemory is less than a small model and its scratch take.
const lowMemory = 1 << 30

func checkMemory(context.Context) check {
	total, available, ok := memory()
	if !ok {
		return check{Name: "memory", Status: statusOK, Detail: "unknown on " + runtime.GOOS}
	}
	c := check{
		"memory", statusOK, fmt.Sprintf("%s, %s available", formatBytes(float64(total)), formatBytes(float64(available))),
		map[string]any{"total_bytes": total, "available_bytes": available},
	}
	if available < lowMemory {
		c.Status = statusWarn
		c.Detail += ": GPT-2 at float32 takes half of a GiB and more"
	}
	return c
}

// checkHashes checks the folder for hashes of weights.
func checkHashes(context.Context) check {
	dir, err := os.UserCacheDir()
	if err != nil {
		return failure("hash cache", err)
	}
	dir = filepath.Join(dir, "genie", "hashes")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return failure("hash cache", err)
	}
	return writable("hash cache", dir)
}

func checkTemp(context.Context) check { return writable("temporary files", os.TempDir()) }

func writable(name, dir string) check {
	f, err := os.CreateTemp(dir, "genie-doctor-")
	if err != nil {
		return failure(name, err)
	}
	_, err = f.WriteString("x")
	if err = errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
		return failure(name, err)
	}
	return check{name, statusOK, dir + " can be written", map[string]any{"dir": dir}}
}

// executorPatience is how long a worker may take to answer.
const executorPatience = 5 * time.Second

func checkExecutor(ctx context.Context, url string, opts []genie.Option) check {
	ctx, cancel := context.WithTimeout(ctx, executorPatience)
	defer cancel()
	client, err := genie.Open(ctx, url, opts...)
	if err != nil {
		return failure("executor", err)
	}
	defer client.Close()
	var fastest time.Duration
	for i := range 10 {
		begin := time.Now()
		if _, err := client.Stats(ctx); err != nil {
			return failure("executor", err)
		}
		if d := time.Since(begin); i == 0 || d < fastest {
			fastest = d
		}
	}
	st, err := client.Stats(ctx)
	if err != nil {
		return failure("executor", err)
	}
	return check{
		"executor", statusOK,
		fmt.Sprintf("%s answers in %d us: process %d, kernels %s, wire version %d, %d sessions, %s of weights",
			url, fastest.Microseconds(), st.PID, st.CPU, wire.Version, st.Sessions, formatBytes(float64(st.WeightBytes))),
		map[string]any{"url": url, "pid": st.PID, "cpu": st.CPU, "wire_version": wire.Version, "round_trip_us": fastest.Microseconds(), "stats": st},
	}
}

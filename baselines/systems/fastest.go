package systems

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// Fastest starts a program with each number of threads, one and all, and each
// plausible memory format, times each with probe, and keeps the fastest open:
// the best choice depends on the model and the machine. Only one is open at a
// time. probe should verify the output as well as time it.
func Fastest(ctx context.Context, program string, o ModelOptions, probe func(*Model) (time.Duration, error)) (*Model, ModelOptions, error) {
	var best ModelOptions
	var least time.Duration
	forms := Forms(o.Workload)
	if program == ONNXRuntime || o.Form != "" {
		forms = []string{o.Form}
	}
	for _, threads := range threadChoices(o.Threads) {
		for _, form := range forms {
			try := o
			try.Threads, try.Form = threads, form
			d, err := probed(ctx, program, try, probe)
			if err != nil {
				return nil, best, err
			}
			if least == 0 || d < least {
				best, least = try, d
			}
		}
	}
	m, err := StartModel(ctx, program, best)
	return m, best, err
}

// threadChoices are the numbers of threads to try for a wanted one, 0 being any.
func threadChoices(wanted int) []int {
	if all := runtime.GOMAXPROCS(0); wanted == 0 && all > 1 {
		return []int{1, all}
	}
	return []int{max(wanted, 1)}
}

func probed(ctx context.Context, program string, o ModelOptions, probe func(*Model) (time.Duration, error)) (time.Duration, error) {
	m, err := StartModel(ctx, program, o)
	if err != nil {
		return 0, err
	}
	d, err := probe(m)
	return max(d, 1), errors.Join(err, m.Close())
}

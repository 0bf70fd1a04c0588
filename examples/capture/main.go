// Command capture runs a custom model: a recurrent network without an existing
// loader, written with package lazy and run where -executor says, in this
// process or on a worker.
//
// The network is a gated recurrent unit (GRU, Cho et al., arXiv:1406.1078) that
// forecasts the next measurement of several sensors. It shows what a captured
// model needs:
//
//   - inputs with a symbolic dimension: one program serves any number of sensors;
//   - weights by content: the second run on a worker sends none of them;
//   - carried state: the hidden state stays where the model runs, and each step
//     sends three numbers per sensor and returns one;
//   - a check: reference.go computes the same network in plain Go, in float64,
//     and shares no code with the captured one. The program fails when they differ.
//
// Run it:
//
//	go run ./examples/capture
//	go run ./examples/capture -sensors 100 -steps 20 -save gru.json
//	go run ./examples/capture -executor tcp://127.0.0.1:7070 -weights gru.json
//
// Forecasts go to standard output, errors to standard error. The exit code is 0
// for success, 1 for a failure and 2 for a mistake in the command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"syscall"

	"github.com/genie-sdk/go/genie"
)

// tolerance is the largest difference between float32 and float64 forecasts that
// rounding explains: the state is bounded by 1 and every sum has tens of terms.
const tolerance = 1e-4

type options struct {
	executor, weights, save string
	sensors, steps          int
	seed                    uint64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: the exit code is its result.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("capture", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.executor, "executor", "local:", "where the model runs: local:, tcp://host:port or grpc://host:port")
	flags.StringVar(&o.weights, "weights", "", "JSON file with the weights; random ones if it is empty")
	flags.StringVar(&o.save, "save", "", "JSON file to write the weights to")
	flags.IntVar(&o.sensors, "sensors", 4, "number of sensors: rows of a batch")
	flags.IntVar(&o.steps, "steps", 8, "number of measurements")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of random weights")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0 || o.sensors < 1 || o.steps < 1:
		fmt.Fprintln(stderr, "capture: there are no arguments, and -sensors and -steps are 1 or more")
		return 2
	}
	if err := forecast(ctx, o, stdout); err != nil {
		fmt.Fprintln(stderr, "capture:", err)
		return 1
	}
	return 0
}

// forecast feeds the measurements to the network in order and compares each
// forecast with the plain network's.
func forecast(ctx context.Context, o options, stdout io.Writer) error {
	w := randomWeights(o.seed)
	if o.weights != "" {
		var err error
		if w, err = readWeights(o.weights); err != nil {
			return err
		}
	}
	if o.save != "" {
		if err := w.write(o.save); err != nil {
			return err
		}
	}
	m, err := w.capture()
	if err != nil {
		return err
	}

	client, err := genie.Open(ctx, o.executor)
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession(ctx)
	if err != nil {
		return err
	}
	defer session.Close()

	plain := make([]state, o.sensors) // one for each sensor
	worst := 0.0
	for step := range o.steps {
		x := measure(step, o.sensors)
		// The hidden state is not fed: the session carries it.
		out, err := session.Run(ctx, genie.Feed{m.x.Name(): genie.Float32s(x, o.sensors, inputs)}, m.forecast)
		if err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
		got, err := out[0].Float32s(ctx)
		if err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
		for i := range plain {
			want := plain[i].step(w, x[i*inputs:][:inputs])
			d := math.Abs(float64(got[i]) - want)
			if !(d <= tolerance) { // also true for NaN
				return fmt.Errorf("step %d, sensor %d: the forecast is %v, plain Go computes %v", step, i, got[i], want)
			}
			worst = max(worst, d)
		}
		fmt.Fprintf(stdout, "step %d: forecast of sensor 0 %+.6f\n", step, got[0])
	}
	moved := client.Ledger()
	fmt.Fprintf(stdout, "%d forecasts, at most %.1e from plain Go; sent %d bytes of weights and %d of state\n",
		o.steps*o.sensors, worst, moved.Sent.Map()["weights"], moved.Sent.Map()["kv"])
	return nil
}

// measure is the sensors' values: waves of different frequencies, sampled with
// their slope and the time of day.
func measure(step, sensors int) []float32 {
	x := make([]float32, 0, sensors*inputs)
	for i := range sensors {
		frequency := 0.3 + 0.05*float64(i%7)
		phase := frequency * float64(step)
		x = append(x, float32(math.Sin(phase)), float32(frequency*math.Cos(phase)), float32(step%24)/24)
	}
	return x
}

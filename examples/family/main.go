// Command family adds a family of models: checkpoints of Llama in the Hugging Face
// layout, loaded with public packages alone, as this module loads its own families.
//
// It shows what a family needs:
//
//   - a config.json that is believed within bounds, and refused where it asks for
//     something that the program does not compute (config.go);
//   - tensors under their names, with and without the inner model's, from one file
//     or from shards, mapped and not copied (model.go);
//   - a captured program: grouped heads, rotary embeddings, KV caches that stay
//     where the model runs;
//   - a check: reference.go computes the same network in plain Go, in float64, and
//     shares no code with the captured one. The program fails when they differ.
//
// Run it:
//
//	go run ./examples/family
//	go run ./examples/family -model DIR -tokens 1,15043,29892 -new 20
//	go run ./examples/family -executor tcp://127.0.0.1:7070
//
// Without -model it writes a small checkpoint with random weights to a temporary
// folder and loads that. Only small models should be checked: plain Go is slow, and
// -check=false leaves it out. New tokens go to standard output, errors to standard
// error. The exit code is 0 for success, 1 for a failure and 2 for a mistake in the
// command line.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/transport"
)

// tolerance is the largest difference of a logit from the plain network's, relative
// to the largest logit, that rounding to float32 explains.
const tolerance = 1e-4

type options struct {
	model, executor, tokens string
	fresh                   int
	check                   bool
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
	flags := flag.NewFlagSet("family", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.model, "model", "", "directory of a Llama checkpoint; one with random weights if it is empty")
	flags.StringVar(&o.executor, "executor", "local:", "where the model runs: local:, tcp://host:port or grpc://host:port")
	flags.StringVar(&o.tokens, "tokens", "1,17,42,7", "token ids to continue")
	flags.IntVar(&o.fresh, "new", 12, "number of new tokens")
	flags.BoolVar(&o.check, "check", true, "compare the logits with plain Go's")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of random weights")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	prompt, err := parseTokens(o.tokens)
	if err != nil || flags.NArg() > 0 || o.fresh < 1 {
		fmt.Fprintln(stderr, "family: there are no arguments, -tokens is ids with commas, and -new is 1 or more")
		return 2
	}
	if err := continued(ctx, o, prompt, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "family:", err)
		return 1
	}
	return 0
}

func parseTokens(list string) (ids []int, err error) {
	for s := range strings.SplitSeq(list, ",") {
		id, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// continued loads the model, continues the prompt greedily and checks the logits.
func continued(ctx context.Context, o options, prompt []int, stdout, stderr io.Writer) error {
	if o.model == "" {
		dir, err := os.MkdirTemp("", "llama")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := writeRandom(ctx, dir, o.seed); err != nil {
			return err
		}
		o.model = dir
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	m, err := load(ctx, o.model, log)
	if err != nil {
		return err
	}
	defer m.close()
	client, err := genie.Open(ctx, o.executor, genie.WithLogger(log))
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	request := genie.GenerateRequest{Prompts: [][]int{prompt}, MaxNew: o.fresh}
	c := &checker{prompt: prompt}
	if o.check {
		if c.plain, err = readPlain(m.files, m.config); err != nil {
			return err
		}
		request.OnLogits = c.logits
		request.OnToken = c.token
	}
	out, err := genie.Generate(ctx, session, m.lm, request)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, strings.Trim(fmt.Sprint(out.Tokens[0]), "[]"))
	if o.check {
		fmt.Fprintf(stdout, "%d rows of logits, at most %.1e from plain Go\n", c.rows, c.worst)
	}
	return nil
}

// checker compares the logits of each run with the plain network's.
type checker struct {
	plain  *plain
	prompt []int // whose logits have not come
	next   int   // the last new token
	rows   int
	worst  float64 // relative to the largest logit
}

func (c *checker) token(_, token int) error {
	c.next = token
	return nil
}

func (c *checker) logits(_ int, t transport.Tensor) error {
	rows := c.prompt
	if c.prompt = nil; rows == nil {
		rows = []int{c.next}
	}
	got, vocab := t.Data, t.Shape[len(t.Shape)-1]
	if len(got) < 4*vocab*len(rows) {
		return fmt.Errorf("logits %v for %d tokens", t.Shape, len(rows))
	}
	for _, id := range rows {
		if id < 0 || id >= c.plain.c.Vocab {
			return fmt.Errorf("token %d, the vocabulary has %d", id, c.plain.c.Vocab)
		}
		want, most, off := c.plain.step(id), 0.0, 0.0
		for i, w := range want {
			most = max(most, math.Abs(w))
			off = max(off, math.Abs(float64(math.Float32frombits(binary.LittleEndian.Uint32(got[4*i:])))-w))
		}
		if got = got[4*vocab:]; !(off <= tolerance*most) { // also true for NaN
			return fmt.Errorf("row %d of logits is %.2g from plain Go's, whose largest is %.2g", c.rows, off, most)
		}
		c.worst, c.rows = max(c.worst, off/most), c.rows+1
	}
	return nil
}

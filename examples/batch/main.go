// Command batch asks one question about every image of a folder, in batches,
// and writes the answers to a file. It can be interrupted and restarted.
//
// It shows what batch inference needs besides the model:
//
//   - images are read and decoded while the previous batch is computed;
//   - a file that is not an image, or has a wrong size, is reported and skipped:
//     it fails neither the batch nor the run;
//   - answers are written and synced batch by batch, one JSON object per line;
//     the same command resumes an interrupted or killed run, skips existing
//     answers and repairs a line that was cut short;
//   - progress goes to standard error.
//
// The model is the network of workloads/easyvqa, which recognises one coloured
// shape on a plain background, 64x64 pixels. Run it from the root of the
// repository:
//
//	go run ./examples/batch -in FOLDER -out answers.jsonl -question "what color is the shape?"
//	go run ./examples/batch -in FOLDER -out answers.jsonl -executor tcp://127.0.0.1:7070 -size 256
//
// The exit code is 0 when every image has an answer, 1 for a failure, 2 for a
// mistake in the command line, and 3 when everything is done but some files
// could not be read. The next run tries those again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/workloads/easyvqa"
)

// The exit codes.
const (
	exitOK = iota
	exitFailure
	exitUsage
	exitBadFiles
)

type options struct {
	in, out, question, model, executor string
	size                               int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: the exit code is its result.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("batch", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.in, "in", "", "folder of images: .png, .jpg, .jpeg and .gif files in it and below it")
	flags.StringVar(&o.out, "out", "", "answers file, one JSON object per line; new answers are appended")
	flags.StringVar(&o.question, "question", "what color is the shape?", "question about each image")
	flags.StringVar(&o.model, "model", "testdata/models/easy-vqa", "folder of the model")
	flags.StringVar(&o.executor, "executor", "local:", "where the model runs: local:, tcp://host:port or grpc://host:port")
	flags.IntVar(&o.size, "size", 64, "images in a batch")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0 || o.in == "" || o.out == "" || o.size < 1:
		fmt.Fprintln(stderr, "batch: -in and -out are needed, -size is 1 or more, and there are no arguments")
		return exitUsage
	}
	bad, err := infer(ctx, o, stderr)
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "batch:", err)
		return exitFailure
	case bad > 0:
		return exitBadFiles
	}
	return exitOK
}

// infer answers the images without an answer, and returns the number of bad
// files.
func infer(ctx context.Context, o options, stderr io.Writer) (bad int, err error) {
	answers, err := openAnswers(o.out)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, answers.Close()) }()
	files, err := list(o.in)
	if err != nil {
		return 0, err
	}
	todo := answers.missing(files, o.question)
	fmt.Fprintf(stderr, "%d images, %d of them answered before\n", len(files), len(files)-len(todo))

	model, err := easyvqa.Load(ctx, o.model, easyvqa.LoadOptions{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	client, err := genie.Open(ctx, o.executor, genie.WithRetryOverloaded())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	session, err := client.NewSession(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start, done := time.Now(), 0
	batches := read(ctx, o.in, todo, o.size, model.Config.Size)
	defer func() { // the reader has ended when this function returns
		cancel()
		for range batches {
			continue
		}
	}()
	for b := range batches {
		for _, problem := range b.bad {
			fmt.Fprintln(stderr, "bad file:", problem)
		}
		bad += len(b.bad)
		if len(b.images) > 0 {
			lines, err := ask(ctx, model, session, b, o.question)
			if err != nil {
				return bad, fmt.Errorf("after %d images (the same command resumes): %w", done, err)
			}
			if err := answers.add(lines); err != nil {
				return bad, err
			}
			done += len(lines)
		}
		fmt.Fprintf(stderr, "%d of %d, %d bad, %.0f images/s\n", done+bad, len(todo), bad, float64(done)/time.Since(start).Seconds())
	}
	return bad, context.Cause(ctx) // the run was interrupted while it read
}

// ask runs one batch.
func ask(ctx context.Context, m *easyvqa.Model, s *genie.Session, b batch, question string) ([]answer, error) {
	pixels, err := m.Config.Pixels(b.images...)
	if err != nil {
		return nil, err
	}
	questions := make([]easyvqa.Question, len(b.images))
	for i := range questions {
		questions[i] = easyvqa.Question{Image: i, Text: question}
	}
	said, err := m.Answer(ctx, s, pixels, questions)
	if err != nil {
		return nil, err
	}
	lines := make([]answer, len(said))
	for i, text := range said {
		lines[i] = answer{File: b.files[i], Question: question, Answer: text}
	}
	return lines, nil
}

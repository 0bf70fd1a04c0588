package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/transport/wire"
)

// The exit codes; for a signal it is 128 plus its number.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitDrain   = 3 // a stopping worker had to end running requests
)

// app has what every command gets: its streams, and the devices.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// devices are those that the program links beside the CPU.
	devices host.Devices
}

// usageError is the cause of exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// run is the whole program without the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, devices: linked()}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code, text, cause := exitFailure, line(err), err
	if signalled, ok := errors.AsType[*signalError](context.Cause(ctx)); ok {
		code, text, cause = signalled.exitCode(), signalled.Error(), signalled
	} else if isA[*usageError](err) {
		code = exitUsage
		text += fmt.Sprintf(" (see '%s --help')", cmd.CommandPath())
	}
	if ended, ok := errors.AsType[*worker.DrainError](err); ok {
		code, text, cause = exitDrain, line(ended), ended
	}
	if wantsJSON(args) && !isA[*reportedError](err) {
		_ = a.printJSON(failureReport{isA[*signalError](cause), newErrorReport(cause, code)})
	}
	_, _ = fmt.Fprintln(stderr, "genie:", text)
	return code
}

// line is an error as one line; it may contain text from a peer or a file. The
// prefix of the sentinels is removed, since run prints it once.
func line(err error) string {
	text := strings.ReplaceAll(err.Error(), "genie: ", "")
	return wire.Printable(strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; "))
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "genie",
		Short: "Run models where the accelerator is, and see what moves",
		Long: `genie runs tensor programs in this process or on a worker, over TCP or gRPC,
and moves only what has to move.

  genie demo                     everything on this machine, with a small model
  genie worker                   serve on tcp://127.0.0.1:7070
  genie generate --model DIR --prompt TEXT --executor tcp://127.0.0.1:7070
  genie classify --model DIR --image FILE --executor tcp://127.0.0.1:7070`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(
		a.demoCommand(), a.workerCommand(), a.fleetCommand(), a.generateCommand(), a.classifyCommand(), a.runCommand(), a.vqaCommand(), a.explainCommand(),
		a.healthCommand(), a.topCommand(), a.modelsCommand(), a.doctorCommand(), a.benchCommand(), a.tokenCommand(), a.versionCommand(),
	)
	return root
}

// group is the command of a group of commands: it prints its help and refuses
// unknown names.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	cmd.SuggestionsMinimumDistance = 2
	err := usagef("there is no command %q", cmd.CommandPath()+" "+args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = usagef("there is no command %q; did you mean %q?", cmd.CommandPath()+" "+args[0], near[0])
	}
	return err
}

// noArgs refuses arguments other than flags.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// printJSON writes v to standard output.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(plainJSON{a.stdout})
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}

func (a *app) printf(format string, args ...any) error {
	if _, err := fmt.Fprintf(a.stdout, format, args...); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}

// Command genie is the command line and the worker of the Genie SDK. Run it
// without arguments for the list of commands.
//
// It exits with 0 on success, 1 on failure, 2 on a usage error, and 128 plus
// the signal's number when a signal ended it (130 after Ctrl-C). A worker that
// a signal stops exits with 0, or with 3 if it had to end running requests.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/genie-sdk/go/baselines"
)

func main() {
	if baselines.Child() { // one of the processes of a benchmark
		if err := baselines.RunChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := withSignals(context.Background())
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

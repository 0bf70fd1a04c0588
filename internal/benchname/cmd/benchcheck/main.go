// Command benchcheck fails where the output of go test -bench, on its standard input, is
// not what package benchcheck says:
//
//	go test -run '^$' -bench . ./... | go run ./internal/benchname/cmd/benchcheck
package main

import (
	"fmt"
	"os"

	"github.com/genie-sdk/go/internal/benchname/benchcheck"
)

func main() {
	n, err := benchcheck.Check(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = fmt.Fprintf(os.Stdout, "%d benchmarks, each with a row, a column and a time\n", n)
}

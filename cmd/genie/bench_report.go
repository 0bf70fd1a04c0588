package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/baselines/results"
	"github.com/genie-sdk/go/baselines/results/report"
	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
)

type benchReportOptions struct {
	out       string
	json, all bool
}

func (a *app) benchReportCommand() *cobra.Command {
	var o benchReportOptions
	cmd := &cobra.Command{
		Use:   "report OLD.txt [NEW.txt]",
		Short: "Show recorded results as tables, JSON or a page with charts",
		Long: `report shows recorded results: for every workload and link the medians of all
baselines with 95% intervals, their ratios to local-pytorch and capture-only, the
bytes on the wire by cause, the accuracy of the cost model's predictions, and the
cases that could not run, with the reasons. Of two files it shows the second, and
the changes since the first.

--out FILE.html writes a page with charts that opens without a network.`,
		Example: `  genie bench report new.txt
  genie bench report old.txt new.txt --out changes.html`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usagef("one or two files of results are needed, not %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.benchReport(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "write an HTML page to this file")
	f.BoolVar(&o.all, "all", false, "show every unit, not only rates, latencies and bytes")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return cmd
}

func (a *app) benchReport(ctx context.Context, args []string, o benchReportOptions) error {
	files, err := openResults(args)
	if err != nil {
		return err
	}
	var r *report.Report
	if len(files) == 2 {
		r = report.New(files[0], files[1])
	} else {
		r = report.New(nil, files[0])
	}
	if o.out != "" {
		if err := writePage(ctx, o.out, r); err != nil {
			return err
		}
	}
	switch {
	case o.json:
		return a.printJSON(r)
	case o.out != "":
		return a.printf("%s: %d cases, %d of them missing or failed\n", o.out, r.New.Cases+len(r.Absent), len(r.Absent))
	}
	return report.WriteText(a.stdout, r, o.all)
}

// openResults reads recordings. A missing file is a usage error.
func openResults(paths []string) (files []*results.File, err error) {
	for _, path := range paths {
		f, err := results.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil, &usageError{err}
		}
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// writePage writes the whole page or nothing; a target that is not an ordinary
// file is written directly.
func writePage(ctx context.Context, path string, r *report.Report) error {
	f, err := atomicfile.CreateContext(ctx, path)
	if err != nil {
		return err //nolint:wrapcheck // names the path
	}
	if err := report.WriteHTML(f, r); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), f.Abort())
	}
	return f.Commit() //nolint:wrapcheck // names the path
}

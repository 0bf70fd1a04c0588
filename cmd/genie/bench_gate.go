package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/baselines/results"
)

type benchGateOptions struct {
	maxRegress string
	json       bool
}

func (a *app) benchGateCommand() *cobra.Command {
	var o benchGateOptions
	cmd := &cobra.Command{
		Use:   "gate OLD.txt NEW.txt",
		Short: "Fail on regressions",
		Long: `gate compares two files of results and exits with 1 when

  - a unit became significantly worse by more than --max-regress (p below 0.05 in
    the rank test of Mann and Whitney, which needs at least 4 samples of each).
    The file declares which direction is worse (Unit lines), or the unit implies
    it;
  - a unit that is declared exact changed at all, for better or worse;
  - a case, or a unit of one, is missing, or a case failed.`,
		Example: "  genie bench gate old.txt new.txt --max-regress 5%",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("two files of results are needed, not %d", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.benchGate(args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.maxRegress, "max-regress", "5%", "largest accepted regression of the median")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return cmd
}

func (a *app) benchGate(args []string, o benchGateOptions) error {
	limit, err := fraction(o.maxRegress)
	if err != nil {
		return err
	}
	files, err := openResults(args)
	if err != nil {
		return err
	}
	v := results.Gate(files[0], files[1], limit)
	if o.json {
		err = a.printJSON(v)
	} else {
		err = a.gateText(v, o.maxRegress)
	}
	if err == nil && !v.OK {
		err = fmt.Errorf("the gate is closed: %s", plural(len(v.Findings), "finding"))
	}
	return err
}

// fraction parses "5%" or "0.05".
func fraction(text string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return 0, usagef("--max-regress is %q, not a percentage such as 5%%", text)
	}
	return v, nil
}

func (a *app) gateText(v results.Verdict, limit string) error {
	var b strings.Builder
	for _, f := range v.Findings {
		fmt.Fprintf(&b, "%-12s %s", f.Reason, f.Key)
		if f.Unit != "" {
			fmt.Fprintf(&b, "  %s", f.Unit)
		}
		if f.Reason == results.Regression {
			before, _ := results.Format(*f.Old, f.Unit)
			after, _ := results.Format(*f.New, f.Unit)
			fmt.Fprintf(&b, "  %s became %s", before, after)
			if f.Percent != nil {
				fmt.Fprintf(&b, " (%+.1f%%, p=%.3f)", *f.Percent, *f.P)
			}
		} else if f.Detail != "" {
			fmt.Fprintf(&b, "  %s", f.Detail)
		}
		b.WriteByte('\n')
	}
	verdict := "nothing"
	if !v.OK {
		verdict = plural(len(v.Findings), "finding")
	}
	fmt.Fprintf(&b, "%s compared, at most %s worse: %s", plural(v.Compared, "unit"), limit, verdict)
	for _, note := range []struct {
		n    int
		text string
	}{{v.TooFew, "with too few samples to tell"}, {v.Undirected, "with no direction"}, {len(v.Added), "new cases"}} {
		if note.n > 0 {
			fmt.Fprintf(&b, "; %d %s", note.n, note.text)
		}
	}
	return a.printf("%s\n", b.String())
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

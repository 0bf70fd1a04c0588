package main

import (
	"github.com/spf13/cobra"
)

// benchCommand groups the benchmark commands.
func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure every workload with every baseline, and report the results",
		Long: `bench measures configurations of genie and of other systems on the same workloads,
and reports recorded results.

  genie bench setup
  genie bench run --scale small --net loopback --count 10 --out new.txt
  genie bench report new.txt --out new.html
  genie bench gate old.txt new.txt --max-regress 5%

The files are in the Go benchmark format; benchstat reads them too.`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(a.benchSetupCommand(), a.benchReferenceCommand(), a.benchRunCommand(), a.benchReportCommand(), a.benchGateCommand())
	return cmd
}

package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/baselines/systems"
)

// benchSetupReport is what bench setup --json prints.
type benchSetupReport struct {
	Dir     string            `json:"dir"`
	Python  string            `json:"python"`
	Made    bool              `json:"made"` // or changed
	Bytes   int64             `json:"bytes"`
	Missing map[string]string `json:"missing"`
}

func (a *app) benchSetupCommand() *cobra.Command {
	var o systems.SetupOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Create the Python environment of the reference systems",
		Long: `setup creates a virtual environment with PyTorch, ONNX Runtime, Ray and llama.cpp
in genie/reference-systems below the user's cache folder (or in
GENIE_REFERENCE_SYSTEMS), from pinned requirements that are part of this program.
Benchmarks find it there. It needs Python 3.11, 3.12 or 3.13, a C++ compiler for
llama.cpp, and the package index that pip is configured for.

On Linux the torch of the usual index is a CUDA build: with its libraries the
environment takes about 7 GB. --index names a further index that has CPU builds.

A group of packages that does not install is reported, and only the cases that
need it will be unavailable.

Called again, it does nothing if the environment is complete. It retries groups
that failed, and adds groups that were skipped unless --skip names them again; it
does not reinstall the others. It rebuilds everything if the requirements or the
version of Python changed, if --skip names an installed group, or with --rebuild.
It builds beside the working environment and replaces that one when complete; a
setup that fails or is interrupted changes nothing.`,
		Example: `  genie bench setup
  genie bench setup --skip llama   # without a C++ compiler`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, s := range o.Skip {
				if s == systems.Groups()[0].Name || !slices.Contains(systemGroups(), s) {
					return usagef("--skip is %q, not one of %s", s, strings.Join(systemGroups()[1:], ", "))
				}
			}
			return a.benchSetup(cmd, o, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Python, "python", "", "interpreter to make it with (default: the first suitable one found)")
	f.StringSliceVar(&o.Skip, "skip", nil, "leave out some of "+strings.Join(systemGroups()[1:], ", "))
	f.BoolVar(&o.Rebuild, "rebuild", false, "rebuild it even if it is up to date")
	f.StringVar(&o.Index, "index", "", "URL of a further package index, for CPU builds of torch")
	f.BoolVar(&asJSON, "json", false, "print a JSON object at the end")
	return cmd
}

// systemGroups are the names of the parts, the required one first.
func systemGroups() []string {
	var names []string
	for _, g := range systems.Groups() {
		names = append(names, g.Name)
	}
	return names
}

func (a *app) benchSetup(cmd *cobra.Command, o systems.SetupOptions, asJSON bool) error {
	p := a.setupProgress(asJSON)
	o.Said, o.Step = p.said, p.step
	e, made, err := systems.Setup(cmd.Context(), o)
	p.stop()
	if err = errors.Join(err, p.err); err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(benchSetupReport{e.Dir, e.Python, made, e.Bytes, e.Missing})
	}
	if err := a.printf("%s: Python %s, %s: %s\n", e.Dir, e.Python, formatBytes(float64(e.Bytes)), setupState(e, made, o.Skip)); err != nil {
		return err
	}
	for _, name := range systemGroups() {
		if why, missing := e.Missing[name]; missing {
			why, _, _ = strings.Cut(why, "\n")
			if err := a.printf("without %s: %s\n", name, why); err != nil {
				return err
			}
		}
	}
	return nil
}

// setupState is the result of a setup that did not fail.
func setupState(e *systems.Environment, made bool, skip []string) string {
	if made {
		return "ready"
	}
	for name := range e.Missing {
		if !slices.Contains(skip, name) {
			return "as before" // the attempted parts failed again
		}
	}
	return "up to date"
}

package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
)

// A release stamps these with the linker (deploy/release/release.sh). What go
// install or go build makes knows them from the build's own record.
var stampedVersion, stampedRevision string

// versionReport is what version prints.
type versionReport struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from changed files
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Kernels  string `json:"kernels"`
	Wire     int    `json:"wire_version"`
	Plan     int    `json:"plan_version"`
}

func currentVersion() versionReport {
	r := versionReport{
		Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Kernels: kernels.Path(), Wire: wire.Version, Plan: plan.Version,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return stamped(r)
	}
	if info.Main.Version != "" {
		r.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			r.Revision = s.Value
		case "vcs.modified":
			r.Modified = s.Value == "true"
		}
	}
	return stamped(r)
}

// stamped is the version from the linker, which takes precedence over the
// record.
func stamped(r versionReport) versionReport {
	if stampedVersion != "" {
		r.Version, r.Revision, r.Modified = stampedVersion, stampedRevision, false
	}
	return r
}

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, and those of the wire and the plan format",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			r := currentVersion()
			if asJSON {
				return a.printJSON(r)
			}
			return a.printf("genie %s, wire %d, plan %d, %s, %s, kernels %s\n", r.Version, r.Wire, r.Plan, r.Go, r.Platform, r.Kernels)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

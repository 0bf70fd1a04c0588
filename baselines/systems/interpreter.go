package systems

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// suitable are the versions of Python for which the requirements have builds,
// the preferred one first.
var suitable = []string{"3.11", "3.12", "3.13"}

// findInterpreter finds a suitable Python: the named one, or the first that
// runs.
func findInterpreter(ctx context.Context, named string) (exe, version string, err error) {
	candidates := []string{named}
	if named == "" {
		candidates = nil
		for _, v := range suitable {
			candidates = append(candidates, "python"+v)
		}
		candidates = append(candidates, "python3", "python")
	}
	var causes []error
	for _, c := range candidates {
		exe, err := exec.LookPath(c)
		if err != nil {
			causes = append(causes, err)
			continue
		}
		version, err := pythonVersion(ctx, exe)
		if err == nil && slices.ContainsFunc(suitable, func(s string) bool { return strings.HasPrefix(version, s+".") }) {
			return exe, version, nil
		}
		if err == nil {
			err = fmt.Errorf("%s is Python %s", exe, version)
		}
		causes = append(causes, err)
	}
	return "", "", fmt.Errorf("%w: no Python %s: %w", ErrUnavailable, strings.Join(suitable, ", "), errors.Join(causes...))
}

// pythonVersion runs an interpreter: a name in a path may be a dangling link.
func pythonVersion(ctx context.Context, exe string) (string, error) {
	out, err := exec.CommandContext(ctx, exe, "-c", "import sys; print('.'.join(map(str, sys.version_info[:3])))").Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", exe, err)
	}
	return strings.TrimSpace(string(out)), nil
}

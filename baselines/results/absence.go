package results

import (
	"fmt"
	"strings"
)

const (
	unavailablePrefix = "# unavailable "
	failedPrefix      = "# failed "
)

// Line is the comment that records the absence, with its line break. benchstat
// skips it. The reason is put on one line.
func (a Absence) Line() string {
	prefix := unavailablePrefix
	if a.Failed {
		prefix = failedPrefix
	}
	reason := strings.Join(strings.Fields(a.Reason), " ")
	return fmt.Sprintf("%s%s: %s\n", prefix, strings.ReplaceAll(a.String(), "/", " "), reason)
}

// parseAbsence parses the output of Line.
func parseAbsence(line string) (Absence, bool) {
	rest, failed := strings.CutPrefix(line, failedPrefix)
	if !failed {
		var ok bool
		if rest, ok = strings.CutPrefix(line, unavailablePrefix); !ok {
			return Absence{}, false
		}
	}
	name, reason, ok := strings.Cut(rest, ": ")
	if !ok {
		return Absence{}, false
	}
	k := keyOf(strings.Fields(name))
	return Absence{Key: k, Reason: reason, Failed: failed}, k.Workload != "" && k.Baseline != ""
}

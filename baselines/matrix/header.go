package matrix

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/baselines/results"
)

// Header describes a run at the head of its file.
type Header struct {
	Commit     string
	Dirty      bool // built from modified files
	Date       string
	Go         string
	OS, Arch   string
	CPU        string // model
	Cores      int
	GOMAXPROCS int
	Scale      string
	// Versions are those that all cases share; see [Versioned].
	Versions map[string]string
	// Units are declarations for benchstat, "tok/s better=higher" for instance.
	Units []string
}

// describing lists settings that may differ between two runs on one machine.
func (h *Header) describing() [][2]string {
	all := [][2]string{
		{"commit", cmp.Or(h.Commit, "unknown")},
		{"dirty", strconv.FormatBool(h.Dirty)},
		{"date", h.Date},
		{"go", h.Go},
		{"gomaxprocs", strconv.Itoa(h.GOMAXPROCS)},
	}
	return append(all, lines(h.Versions)...)
}

// lines are configuration by key.
func lines(m map[string]string) (all [][2]string) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, [2]string{configKey(name), m[name]})
	}
	return all
}

// deciding lists settings that make the results of two runs incomparable.
func (h *Header) deciding() [][2]string {
	return [][2]string{
		{"goos", h.OS},
		{"goarch", h.Arch},
		{"cpu", cmp.Or(h.CPU, "unknown")},
		{"cores", strconv.Itoa(h.Cores)},
		{"scale", h.Scale},
	}
}

// configKey converts a name for a configuration line: no upper case, no spaces.
func configKey(name string) string {
	return strings.Join(strings.Fields(strings.ToLower(name)), "-")
}

// write writes the lines that describe the run, withdraws them, and declares
// the units. benchstat makes a table for every configuration. So the
// configuration in force at a result may differ between two files only if they
// must not be compared.
func (h *Header) write(w io.Writer) error {
	var b strings.Builder
	said(&b, "# The lines above describe this run. They are withdrawn here, so that\n"+
		"# benchstat old.txt new.txt compares two runs in one table.\n", h.describing())
	for _, u := range h.Units {
		b.WriteString("Unit " + u + "\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("matrix: %w", err)
	}
	return nil
}

// said writes configuration and withdraws it after a remark.
func said(b *strings.Builder, remark string, lines [][2]string) {
	for _, l := range lines {
		if l[1] != "" {
			fmt.Fprintf(b, "%s: %s\n", l[0], oneLine(l[1]))
		}
	}
	b.WriteString(remark)
	for _, l := range lines {
		if l[1] != "" {
			b.WriteString(l[0] + ":\n")
		}
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// differs names the settings of a recording that this run lacks; empty when the
// recording can be continued.
func (h *Header) differs(f *results.File) string {
	var all []string
	same := slices.Concat([][2]string{{"commit", cmp.Or(h.Commit, "unknown")}, {"dirty", strconv.FormatBool(h.Dirty)}}, h.deciding())
	for _, l := range same {
		if have, now := f.Setting(l[0]), oneLine(l[1]); have != now {
			all = append(all, fmt.Sprintf("%s is %q there and %q here", l[0], have, now))
		}
	}
	return strings.Join(all, ", ")
}

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
	Dirty      bool // built from changed files
	Date       string
	Go         string
	OS, Arch   string
	CPU        string // model
	Cores      int
	GOMAXPROCS int
	Scale      string
	// Versions are those of what all cases run; see [Versioned].
	Versions map[string]string
	// Units are declarations for benchstat, "tok/s better=higher" for instance.
	Units []string
}

// describing lists what two runs differ in without being two machines.
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

// deciding lists what makes the results of two runs incomparable.
func (h *Header) deciding() [][2]string {
	return [][2]string{
		{"goos", h.OS},
		{"goarch", h.Arch},
		{"cpu", cmp.Or(h.CPU, "unknown")},
		{"cores", strconv.Itoa(h.Cores)},
		{"scale", h.Scale},
	}
}

// configKey makes a name fit for a configuration line: no upper case, no
// spaces.
func configKey(name string) string {
	return strings.Join(strings.Fields(strings.ToLower(name)), "-")
}

// write writes the lines that describe the run, withdraws them, and declares
// the units. benchstat makes a table of every configuration: what is in force
// at a result may differ between two files only if they are not to be compared.
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

// differs names what a recording was made with that this run does not have;
// empty when it can be continued.
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

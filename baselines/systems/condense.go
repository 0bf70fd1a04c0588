package systems

import (
	"regexp"
	"strings"
)

// condenser reduces pip's output about a package to one line.
type condenser struct{ said func(line string) }

var (
	fetched  = regexp.MustCompile(`^\s*(?:Downloading|Using cached) (?:\S*/)?([A-Za-z0-9_.]+?)-([0-9][^-\s]*?)(?:-\S*|\.tar\.gz|\.zip)?(?:\.metadata)? \(([^)]+)\)`)
	building = regexp.MustCompile(`^Building wheel for (\S+) \(.*\): (started|finished)`)
)

// line takes a line of pip's output.
func (c condenser) line(text string) {
	if strings.Contains(text, ".metadata") {
		return
	}
	if m := fetched.FindStringSubmatch(text); m != nil {
		c.said("  " + strings.ReplaceAll(m[1], "_", "-") + " " + m[2] + ", " + m[3])
		return
	}
	if m := building.FindStringSubmatch(strings.TrimSpace(text)); m != nil && m[2] == "started" {
		c.said("  " + m[1] + ": building from source, which takes minutes")
		return
	}
	if strings.HasPrefix(text, "Installing collected packages") {
		c.said("  installing")
	}
}

package results

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchproc"
	"golang.org/x/perf/benchunit"
)

// ErrNoResults means that a file has neither results nor cases without results.
var ErrNoResults = errors.New("genie: no benchmark results")

// ErrLongLine means that a file has a line that is too long for the reader of
// the benchmark format.
var ErrLongLine = errors.New("genie: a line that is too long")

// maxLine bounds a line, including its end: the format's reader uses a scanner,
// whose tokens are shorter than this.
const maxLine = bufio.MaxScanTokenSize - 1

// Setting is one configuration line.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Absence is a case without results.
type Absence struct {
	Key
	Reason string `json:"reason"`
	// Failed distinguishes a case that failed from one that cannot run on this
	// machine.
	Failed bool `json:"failed"`

	line int
}

// Case is the samples of one key.
type Case struct {
	Key
	// Name is the full name of its first result.
	Name string
	// Runs is the number of its result lines.
	Runs int

	samples map[string][]float64 // by tidy unit
	order   []string             // tidy units by first appearance
	line    int                  // of its last result
}

// Units are the case's units in the order of the file, in base units: a file's
// "ttft-ns" is "ttft-sec" here.
func (c *Case) Units() []string { return c.order }

// File is a recording.
type File struct {
	Path string
	// Header is every configuration line, with all its values.
	Header []Setting
	// Cases are in order of reading: sections and variants in file order, their
	// baselines in the order of rank.
	Cases []*Case
	// Absent are the cases without results and the reasons, and cases that
	// failed after some results.
	Absent []Absence
	// Warnings are faults of the file that make some of its results doubtful.
	Warnings []string

	meta  benchfmt.UnitMetadataMap
	index map[Key]*Case
}

// Find is the case of a key, nil when it has no results.
func (f *File) Find(k Key) *Case { return f.index[k] }

// Setting is the value of a configuration line, empty when there is none.
func (f *File) Setting(key string) string {
	for _, s := range f.Header {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// Open reads a recording. A file without any record is [ErrNoResults].
func Open(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // names the path
	}
	f, err := Read(bytes.NewReader(text), path)
	if err != nil {
		return nil, err
	}
	if len(f.Cases) == 0 && len(f.Absent) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoResults, path)
	}
	return f, nil
}

// Read reads a recording; path is for messages. Lines outside the format are
// warnings, not errors.
func Read(r io.Reader, path string) (*File, error) {
	var text bytes.Buffer
	if _, err := text.ReadFrom(r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f := &File{Path: path, index: map[Key]*Case{}}
	absent, err := f.readLines(text.Bytes())
	if err != nil {
		return nil, err
	}
	if err := f.readResults(text.Bytes()); err != nil {
		return nil, err
	}
	f.keepAbsent(absent)
	f.sort()
	return f, nil
}

// readLines reads what benchfmt has no record for: configuration that is
// withdrawn before the first result, and cases without results.
func (f *File) readLines(text []byte) (absent []Absence, err error) {
	line := 0
	for content := range bytes.Lines(text) {
		if line++; len(content) > maxLine {
			return nil, fmt.Errorf("%s:%d: %w of %d bytes, at most %d", f.Path, line, ErrLongLine, len(content), maxLine)
		}
		said := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
		if a, ok := parseAbsence(said); ok {
			a.line = line
			absent = append(absent, a)
			continue
		}
		key, value, ok := strings.Cut(said, ":")
		value = strings.TrimLeft(value, " \t")
		if !ok || value == "" || !configKey(key) {
			continue
		}
		if i := slices.IndexFunc(f.Header, func(s Setting) bool { return s.Key == key }); i >= 0 {
			f.Header[i].add(value)
		} else {
			f.Header = append(f.Header, Setting{key, value})
		}
	}
	return absent, nil
}

// add adds another value of a setting, once: the commits of a file assembled
// from several runs, for instance.
func (s *Setting) add(value string) {
	if !slices.Contains(strings.Split(s.Value, ", "), value) {
		s.Value += ", " + value
	}
}

// configKey follows the format: a lower-case letter first, and neither spaces
// nor upper case.
func configKey(key string) bool {
	for i, r := range key {
		if i == 0 && !unicode.IsLower(r) || unicode.IsSpace(r) || unicode.IsUpper(r) {
			return false
		}
	}
	return key != ""
}

// sameRun are settings that results of one file should share.
func sameRun() string { return "goos,goarch,cpu,cores,scale" }

// projections determine which results are samples of one case, and how they
// differ otherwise.
type projections struct {
	section, row, name, procs, variant, run *benchproc.Projection

	runs, procsSeen []benchproc.Key
}

func newProjections() (*projections, error) {
	var parser benchproc.ProjectionParser
	var p projections
	filter, err := benchproc.NewFilter("*")
	if err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	for _, e := range []struct {
		to         **benchproc.Projection
		expression string
	}{
		{&p.section, "/workload,/net"},
		{&p.row, "/baseline,/ablation"},
		{&p.name, ".name"},
		{&p.procs, "/gomaxprocs"},
		{&p.variant, ".fullname"},
		{&p.run, sameRun()},
	} {
		if *e.to, err = parser.Parse(e.expression, filter); err != nil {
			return nil, fmt.Errorf("results: %s: %w", e.expression, err)
		}
	}
	return &p, nil
}

// key is the case of a result. The full name without the other projections'
// parts is "*/model=gpt2/batch=1".
func (p *projections) key(r *benchfmt.Result) Key {
	section, row := p.section.Project(r), p.row.Project(r)
	s, b := p.section.Fields(), p.row.Fields()
	variant := p.variant.Project(r)
	p.runs = appendNew(p.runs, p.run.Project(r))
	p.procsSeen = appendNew(p.procsSeen, p.procs.Project(r))
	return Key{
		Workload: section.Get(s[0]), Net: section.Get(s[1]),
		Baseline: row.Get(b[0]), Ablation: row.Get(b[1]),
		Variant: strings.TrimPrefix(strings.TrimPrefix(variant.StringValues(), "*"), "/"),
	}.normal()
}

// warnings names settings that differ within the file and should not.
func (p *projections) warnings(path string) (all []string) {
	for _, keys := range [][]benchproc.Key{p.runs, p.procsSeen} {
		for _, field := range benchproc.NonSingularFields(keys) {
			all = append(all, fmt.Sprintf("%s: results differ in %s", path, strings.TrimPrefix(field.Name, "/")))
		}
	}
	return all
}

func appendNew(keys []benchproc.Key, k benchproc.Key) []benchproc.Key {
	if slices.Contains(keys, k) {
		return keys
	}
	return append(keys, k)
}

func (f *File) readResults(text []byte) error {
	p, err := newProjections()
	if err != nil {
		return err
	}
	reader := benchfmt.NewReader(bytes.NewReader(text), f.Path)
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			f.Warnings = append(f.Warnings, rec.Error())
		case *benchfmt.Result:
			rec.Name = currentName(rec.Name)
			f.add(p.key(rec), rec)
		}
	}
	if err := reader.Err(); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	f.meta = reader.Units()
	f.Warnings = append(f.Warnings, p.warnings(f.Path)...)
	return nil
}

func (f *File) add(k Key, r *benchfmt.Result) {
	c := f.index[k]
	if c == nil {
		c = &Case{Key: k, Name: r.Name.String(), samples: map[string][]float64{}}
		f.index[k] = c
		f.Cases = append(f.Cases, c)
	}
	c.Runs++
	_, c.line = r.Pos()
	for _, v := range r.Values {
		// The reader does not convert the unit of a zero.
		_, unit := benchunit.Tidy(1, v.Unit)
		unit = currentUnit(unit)
		if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
			f.Warnings = append(f.Warnings, fmt.Sprintf("%s:%d: %s is %g", f.Path, c.line, unit, v.Value))
			continue
		}
		if _, ok := c.samples[unit]; !ok {
			c.order = append(c.order, unit)
		}
		c.samples[unit] = append(c.samples[unit], v.Value)
	}
}

// keepAbsent retains the latest state of every case: results after the comment
// (from a resumed run) cancel it.
func (f *File) keepAbsent(all []Absence) {
	for _, a := range all {
		if c := f.index[a.Key]; c != nil && c.line > a.line {
			continue
		}
		if i := slices.IndexFunc(f.Absent, func(have Absence) bool { return have.Key == a.Key }); i >= 0 {
			f.Absent[i] = a
		} else {
			f.Absent = append(f.Absent, a)
		}
	}
}

// sort orders the baselines of a variant and leaves the rest in file order.
func (f *File) sort() {
	place := map[Key]int{} // of a section and variant
	at := func(k Key) int {
		k = k.With("")
		if _, ok := place[k]; !ok {
			place[k] = len(place)
		}
		return place[k]
	}
	for _, c := range f.Cases {
		at(c.Key)
	}
	slices.SortStableFunc(f.Cases, func(a, b *Case) int {
		if c := at(a.Key) - at(b.Key); c != 0 {
			return c
		}
		return compareRows(a.Key, b.Key)
	})
}

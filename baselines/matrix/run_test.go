package matrix

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"

	"github.com/genie-sdk/go/baselines/results"
)

func TestOrder(t *testing.T) {
	tests := []struct {
		name         string
		alive, count int
		want         string
		most         int
	}{
		{
			"all stay open", 0, 3,
			"open a, open b, open c, run a, run b, run c, run b, run c, run a, run c, run a, run b, close c, close a, close b", 3,
		},
		{
			"one at a time", 1, 2,
			"open a, run a, close a, open b, run b, close b, open c, run c, close c, " +
				"open b, run b, close b, open c, run c, close c, open a, run a, close a", 1,
		},
		{
			"two at a time", 2, 2,
			"open a, run a, open b, run b, close a, open c, run c, " +
				"run b, close b, run c, close c, open a, run a, close a", 2,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d diary
			var out bytes.Buffer
			o, err := Run(t.Context(), &out, [][]Case{group(fakes(&d, "a", "b", "c"))}, Options{Count: tt.count, Alive: tt.alive})
			require.NoError(t, err)
			require.Equal(t, 3*tt.count, o.Samples)
			require.Equal(t, tt.most, d.most)
			require.Empty(t, d.open)
			require.Equal(t, tt.want, strings.Join(d.events, ", "))
		})
	}
}

func TestGroupsFollowEachOther(t *testing.T) {
	var d diary
	cases := fakes(&d, "a", "b")
	cases[1].name = strings.ReplaceAll(cases[1].name, "workload=x", "workload=y")
	_, err := Run(t.Context(), &bytes.Buffer{}, [][]Case{group(cases[:1]), group(cases[1:])}, Options{Count: 2})
	require.NoError(t, err)
	require.Equal(t, "open a, run a, run a, close a, open b, run b, run b, close b", strings.Join(d.events, ", "))
}

func read(t *testing.T, out *bytes.Buffer) *results.File {
	t.Helper()
	f, err := results.Read(bytes.NewReader(out.Bytes()), "out")
	require.NoError(t, err)
	require.Empty(t, f.Warnings, out)
	return f
}

// TestCasesThatFail: a case that fails is recorded with its reason, takes no
// further part, and the others continue.
func TestCasesThatFail(t *testing.T) {
	tests := []struct {
		name   string
		spoil  func(*fake)
		reason string
		failed bool
		runs   int
		closed bool
	}{
		{"unavailable", func(f *fake) { f.openErr = errors.Join(errors.New("no\ntorch"), ErrUnavailable) }, "no torch unavailable", false, 0, false},
		{"wrong answer", func(f *fake) { f.openErr = errors.New("genie: mismatch") }, "mismatch", true, 0, false},
		{"too large", func(f *fake) { f.memory = 3 << 30 }, "needs 3.0 GiB of memory, 2.0 GiB are available", false, 0, false},
		{"fails at once", func(f *fake) {
			f.measure = func(int) (map[string]float64, error) { return nil, errors.New("boom") }
		}, "boom", true, 0, true},
		{"fails later", func(f *fake) {
			first := f.measure
			f.measure = func(run int) (map[string]float64, error) {
				if run == 2 {
					return nil, errors.New("worker died")
				}
				return first(run)
			}
		}, "worker died", true, 1, true},
		{"no number", func(f *fake) {
			f.measure = func(int) (map[string]float64, error) {
				zero := 0.0
				return map[string]float64{"tok/s": 1 / zero}, nil
			}
		}, "bad benchmark result: tok/s is +Inf", true, 0, true},
		{"nothing measured", func(f *fake) {
			f.measure = func(int) (map[string]float64, error) { return map[string]float64{}, nil }
		}, "bad benchmark result: 0 values of 3 iterations", true, 0, true},
		{"cannot close", func(f *fake) { f.closeErr = errors.New("a process is left") }, "close: a process is left", true, 3, true},
	}
	for _, tt := range tests {
		for _, alive := range []int{0, 1} {
			t.Run(tt.name, func(t *testing.T) {
				var d diary
				cases := fakes(&d, "a", "b", "c")
				tt.spoil(cases[1])
				var out bytes.Buffer
				o, err := Run(t.Context(), &out, [][]Case{group(cases)}, Options{
					Count: 3, Alive: alive, Available: func() (int64, bool) { return 2 << 30, true },
				})
				require.NoError(t, err)
				runs := tt.runs
				if tt.name == "cannot close" && alive == 1 {
					runs = 1
				}
				require.Equal(t, 6+runs, o.Samples)
				require.Len(t, o.Absent, 1)
				require.Equal(t, tt.failed, o.Failed() == 1)
				require.Empty(t, d.open)
				require.Equal(t, tt.closed, strings.Contains(strings.Join(d.events, " "), "close b"))

				f := read(t, &out)
				require.Len(t, f.Absent, 1)
				a := f.Absent[0]
				require.Equal(t, results.ParseName(cases[1].name), a.Key)
				require.Equal(t, tt.reason, a.Reason)
				require.Equal(t, tt.failed, a.Failed)
				if runs > 0 {
					require.Equal(t, runs, f.Find(a.Key).Runs)
				} else {
					require.Nil(t, f.Find(a.Key))
				}
			})
		}
	}
}

// TestInterrupted ends the context while a case runs: everything is closed, the
// file is valid, and a resumed run completes it.
func TestInterrupted(t *testing.T) {
	for _, alive := range []int{0, 1, 2} {
		var d diary
		cases := fakes(&d, "a", "b", "c")
		path := filepath.Join(t.TempDir(), "out.txt")
		h := fleetHeader("c0ffee", "tiny")
		file, done, err := Resume(path, &h)
		require.NoError(t, err)
		require.Nil(t, done)
		stopped := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		cases[1].during = func(run int) {
			if run == 2 {
				cancel(stopped)
			}
		}
		o, err := Run(ctx, file, [][]Case{group(cases)}, Options{Count: 4, Alive: alive, Header: h})
		require.ErrorIs(t, err, stopped)
		require.Empty(t, o.Absent)
		require.Empty(t, d.open, "cases are left open")
		_, err = file.WriteString("BenchmarkX_a/workload=x/bas") // as if killed in the middle of a line
		require.NoError(t, err)
		require.NoError(t, file.Close())

		file, done, err = Resume(path, &h)
		require.NoError(t, err)
		require.Len(t, done, 3)
		o2, err := Run(t.Context(), file, [][]Case{group(cases)}, Options{Count: 4, Alive: alive, Header: h, Done: done})
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.Equal(t, 12, o.Samples+o2.Samples)
		f, err := results.Open(path)
		require.NoError(t, err)
		require.Empty(t, f.Warnings)
		for _, c := range f.Cases {
			require.Equal(t, 4, c.Runs, c.Key)
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(text), "commit: c0ffee"))
		cancel(nil)
	}
}

func TestResumeRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.txt")
	h := fleetHeader("c0ffee", "tiny")
	var d diary
	file, _, err := Resume(path, &h)
	require.NoError(t, err)
	_, err = Run(t.Context(), file, [][]Case{group(fakes(&d, "a"))}, Options{Header: h})
	require.NoError(t, err)
	require.NoError(t, file.Close())
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, other := range map[string]func(*Header){
		"commit is": func(h *Header) { h.Commit = "beef" },
		"dirty is":  func(h *Header) { h.Dirty = true },
		"cpu is":    func(h *Header) { h.CPU = "Another" },
		"cores is":  func(h *Header) { h.Cores = 64 },
		"scale is":  func(h *Header) { h.Scale = "full" },
	} {
		changed := h
		other(&changed)
		_, _, err := Resume(path, &changed)
		require.ErrorIs(t, err, ErrOtherRun)
		require.ErrorContains(t, err, name)
	}
	later := h
	later.Date = "2027-01-01T00:00:00Z"
	file, done, err := Resume(path, &later)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.Len(t, done, 1)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)

	letter := filepath.Join(t.TempDir(), "letter.txt")
	require.NoError(t, os.WriteFile(letter, []byte("Dear Sir,\n"), 0o600))
	_, _, err = Resume(letter, &h)
	require.ErrorIs(t, err, ErrOtherRun)
	text, err := os.ReadFile(letter)
	require.NoError(t, err)
	require.Equal(t, "Dear Sir,\n", string(text))
}

// TestEachLineIsWrittenAtOnce: a measurement is in the file before the next
// case starts.
func TestEachLineIsWrittenAtOnce(t *testing.T) {
	var d diary
	cases := fakes(&d, "a", "b")
	var out bytes.Buffer
	var lines []int
	for _, c := range cases {
		c.during = func(int) { lines = append(lines, strings.Count(out.String(), "\nBenchmark")) }
	}
	_, err := Run(t.Context(), &out, [][]Case{group(cases)}, Options{Count: 2})
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2, 3}, lines)
}

// brokenWriter fails after some writes.
type brokenWriter struct{ left int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, os.ErrClosed
	}
	return len(p), nil
}

func TestFileThatFails(t *testing.T) {
	for left := range 4 {
		var d diary
		_, err := Run(t.Context(), &brokenWriter{left}, [][]Case{group(fakes(&d, "a", "b"))}, Options{Count: 2})
		require.ErrorIs(t, err, os.ErrClosed)
		require.Empty(t, d.open)
	}
}

func TestNames(t *testing.T) {
	for _, names := range [][]string{
		{"BenchmarkX/baseline=a"},
		{"BenchmarkX/workload=x"},
		{"BenchmarkX/workload=x/baseline=a/model=vit-32"}, // parses as GOMAXPROCS
		{"BenchmarkX/workload=x/baseline=a b"},
		{"BenchmarkX/workload=x/baseline=a", "BenchmarkY/workload=x/baseline=a"},
	} {
		var g []Case
		for _, n := range names {
			g = append(g, &fake{name: n})
		}
		_, err := Run(t.Context(), &bytes.Buffer{}, [][]Case{g}, Options{})
		require.ErrorIs(t, err, ErrName, names)
	}
}

// TestProgress: the estimate accounts for the time of each case and for omitted
// cases.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		cases := fakes(&d, "a", "b", "c")
		cases[0].takes, cases[1].takes = time.Second, 3*time.Second
		cases[2].openErr = ErrUnavailable
		var seen []Progress
		o := Options{Count: 2, Progress: func(p Progress) { seen = append(seen, p) }}
		_, err := Run(t.Context(), &bytes.Buffer{}, [][]Case{group(cases)}, o)
		require.NoError(t, err)
		name := func(i int) string { return cases[i].name }
		s := time.Second
		require.Equal(t, []Progress{
			{name(0), true, 0, 6, 0, 0},
			{name(1), true, 0, 6, 0, 0},
			{name(2), true, 0, 6, 0, 0},
			{name(0), false, 0, 4, 0, 0},
			{name(1), false, 1, 4, s, 3 * s}, // b is assumed to be like a
			{name(1), false, 2, 4, 4 * s, 4 * s},
			{name(0), false, 3, 4, 7 * s, s},
			{"", false, 4, 4, 8 * s, 0},
		}, seen)
	})
}

// TestVersions: what an opened case reports about itself is in the file once
// for each value, and in force at no result.
func TestVersions(t *testing.T) {
	var d diary
	cases := fakes(&d, "a", "b")
	cases[0].versions = map[string]string{"Lib": "1.0", "threads/a": "2", "empty": ""}
	cases[1].versions = map[string]string{"lib": "1.0"}
	var out bytes.Buffer
	_, err := Run(t.Context(), &out, [][]Case{group(cases)}, Options{Count: 2, Alive: 1})
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(out.String(), "lib: 1.0\n"), out.String())
	require.NotContains(t, out.String(), "empty")
	f := read(t, &out)
	require.Equal(t, "1.0", f.Setting("lib"))
	require.Equal(t, "2", f.Setting("threads/a"))
	s := benchfmt.NewReader(bytes.NewReader(out.Bytes()), "out")
	for s.Scan() {
		if r, ok := s.Result().(*benchfmt.Result); ok {
			require.Empty(t, r.GetConfig("lib"))
		}
	}
	require.NoError(t, s.Err())
}

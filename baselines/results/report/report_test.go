package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines/results"
)

var update = flag.Bool("update", false, "write the goldens")

func open(t *testing.T, name string) *results.File {
	t.Helper()
	f, err := results.Open(filepath.Join("..", "testdata", name))
	require.NoError(t, err)
	return f
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "go test ./baselines/results/report -update")
}

func TestText(t *testing.T) {
	before, after := open(t, "old.txt"), open(t, "new.txt")
	for name, r := range map[string]*Report{"one.txt": New(nil, after), "two.txt": New(before, after)} {
		var b bytes.Buffer
		require.NoError(t, WriteText(&b, r, false))
		golden(t, name, b.String())
	}
	var all bytes.Buffer
	require.NoError(t, WriteText(&all, New(nil, after), true))
	require.Contains(t, all.String(), "rtts/tok: round trips per token; lower is better; exact")
}

// row finds a row of the report.
func row(t *testing.T, r *Report, unit, name string) Row {
	t.Helper()
	k := results.ParseName("X/" + name)
	for _, s := range r.Sections {
		for _, table := range s.Tables {
			for _, row := range table.Rows {
				if table.Unit == unit && row.Key == k {
					return row
				}
			}
		}
	}
	t.Fatalf("no %s of %s", unit, name)
	return Row{}
}

func TestRatiosAndChanges(t *testing.T) {
	r := New(open(t, "old.txt"), open(t, "new.txt"))
	const variant = "/model=gpt2/batch=1/net=loopback"
	tokens := row(t, r, "tok/s", "workload=llm-decode/baseline=full"+variant)
	torch := row(t, r, "tok/s", "workload=llm-decode/baseline=local-pytorch"+variant)
	capture := row(t, r, "tok/s", "workload=llm-decode/baseline=capture-only"+variant)
	require.InDelta(t, tokens.Summary.Median/torch.Summary.Median, *tokens.VsPyTorch, 1e-12)
	require.InDelta(t, tokens.Summary.Median/capture.Summary.Median, *tokens.VsCapture, 1e-12)
	require.Equal(t, 1.0, *capture.VsCapture)
	require.True(t, tokens.Change.Significant)
	require.InDelta(t, -17, *tokens.Change.Percent, 2)

	// For a time, too, above 1 is better.
	time := row(t, r, "itl-p50-sec", "workload=llm-decode/baseline=full"+variant)
	base := row(t, r, "itl-p50-sec", "workload=llm-decode/baseline=capture-only"+variant)
	require.InDelta(t, base.Summary.Median/time.Summary.Median, *time.VsCapture, 1e-12)
	require.Less(t, *time.VsCapture, 1.0)

	upload := row(t, r, "sec/op", "workload=micro/baseline=full/op=upload/bytes=1024/net=loopback")
	require.Nil(t, upload.VsPyTorch)
	require.Nil(t, upload.VsCapture)
}

// TestTimeOfAnOperation: the time of an operation is a headline only if no
// other unit covers it.
func TestTimeOfAnOperation(t *testing.T) {
	for _, s := range New(nil, open(t, "new.txt")).Sections {
		for _, table := range s.Tables {
			if table.Unit == "sec/op" {
				require.Equal(t, s.Workload != "llm-decode", table.Headline, s.Workload)
			}
		}
	}
}

func TestGone(t *testing.T) {
	small, err := results.Read(strings.NewReader("BenchmarkX/workload=w/baseline=b/net=loopback 1 3 tok/s\n"), "small.txt")
	require.NoError(t, err)
	r := New(open(t, "old.txt"), small)
	require.Len(t, r.Gone, 67)
	require.Nil(t, r.Sections[0].Tables[0].Rows[0].Change)
	var b bytes.Buffer
	require.NoError(t, WriteText(&b, r, false))
	require.Contains(t, b.String(), "Only in the old recording\n  workload=llm-decode/baseline=local-pytorch/model=gpt2/batch=1/net=loopback\n")
}

func TestJSON(t *testing.T) {
	b, err := json.Marshal(New(open(t, "old.txt"), open(t, "new.txt")))
	require.NoError(t, err)
	var r Report
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&r))
	require.Len(t, r.Sections, 4)
	require.Len(t, r.Absent, 4)
	require.Len(t, r.CostModels, 1)
	require.NotContains(t, string(b), `:null`)
}

func render(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, WriteHTML(&b, r))
	return b.String()
}

// TestPageStandsAlone: the page fetches nothing and contains no script.
func TestPageStandsAlone(t *testing.T) {
	html := render(t, New(open(t, "old.txt"), open(t, "new.txt")))
	for _, forbidden := range []string{"http://", "https://", "//cdn", "src=", "@import", "url(", "<script", "<link rel=\"style", "<img", "<iframe", "ZgotmplZ"} {
		require.NotContains(t, html, forbidden)
	}
	for _, wanted := range []string{
		"prefers-color-scheme: dark", "<!DOCTYPE html>", `lang="en"`, "Ablation: tokens a second", "Ablation: bytes on the wire",
		"Images a second", "Time between tokens, median", "Time to the first token", "Bytes on the wire by cause, per token",
		"Cost model: predicted against measured", "no Python environment: run genie bench setup", "2222222", "1111111",
	} {
		require.Contains(t, html, wanted)
	}
}

// TestFiguresAreAccessible: every chart is well-formed, has a title and a
// description of its content, and unique ids.
func TestFiguresAreAccessible(t *testing.T) {
	html := render(t, New(open(t, "old.txt"), open(t, "new.txt")))
	charts := regexp.MustCompile(`(?s)<svg [^>]*role="img".*?</svg>`).FindAllString(html, -1)
	require.Greater(t, len(charts), 12)
	for _, svg := range charts {
		ids := regexp.MustCompile(`aria-labelledby="(\S+) (\S+)"`).FindStringSubmatch(svg)
		require.NotNil(t, ids, svg[:200])
		for _, id := range ids[1:] {
			require.Contains(t, svg, `id="`+id+`"`)
		}
		require.Regexp(t, `<desc id="[^"]+">\S[^<]+ \S`, svg)
		elements := 0
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			if start, ok := token.(xml.StartElement); ok {
				elements++
				for _, a := range start.Attr {
					require.NotContains(t, a.Value, "NaN")
					require.NotContains(t, a.Value, "Inf")
				}
			}
		}
		require.Greater(t, elements, 8)
	}
	seen := map[string]int{}
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		seen[m[1]]++
		require.Equal(t, 1, seen[m[1]], m[1])
	}
	for _, m := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(html, -1) {
		require.Equal(t, 1, seen[m[1]], m[1])
	}
}

// TestPageEscapes: names and reasons are treated as text, whatever they
// contain.
func TestPageEscapes(t *testing.T) {
	f, err := results.Read(strings.NewReader(`cpu: <b>fast</b>
BenchmarkX/workload=<i>w</i>/baseline="b"/net=loopback 1 3 tok/s
# unavailable workload=w baseline=c net=loopback: <script>alert(1)</script>
`), "<x>.txt")
	require.NoError(t, err)
	html := render(t, New(nil, f))
	for _, raw := range []string{"<script", "<b>", "<i>", "<x>"} {
		require.NotContains(t, html, raw)
	}
	require.Contains(t, html, "&lt;script&gt;")
}

// TestSmallReports: missing data causes neither an empty chart nor an error.
func TestSmallReports(t *testing.T) {
	for name, text := range map[string]string{
		"one result":       "BenchmarkX/workload=w/baseline=b/net=n 1 3 tok/s\n",
		"zeros":            "BenchmarkX/workload=w/baseline=b/net=n 1 0 tok/s 0 ns/op 0 wire-B/op 0 kv-wire-B/op\n",
		"nothing measured": "# unavailable workload=w baseline=b net=n: no torch\n",
		"no names":         "BenchmarkProbe/of=fma/threads=1-2 1 3 GF/s\n",
		"one prediction":   "BenchmarkX/workload=micro/baseline=b/op=conv/net=n 1 3 predicted-ns 3 measured-ns\n",
		"ablations of one": "BenchmarkX/workload=w/baseline=full/ablation=weights/net=n 1 3 tok/s\n",
	} {
		t.Run(name, func(t *testing.T) {
			f, err := results.Read(strings.NewReader(text), "x.txt")
			require.NoError(t, err)
			r := New(nil, f)
			html := render(t, r)
			require.NotContains(t, html, "NaN")
			require.NotContains(t, html, "Inf")
			var b bytes.Buffer
			require.NoError(t, WriteText(&b, r, true))
			_, err = json.Marshal(r)
			require.NoError(t, err)
		})
	}
}

// TestRecordedResults: the project's own recordings can be read.
func TestRecordedResults(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/bench/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		f, err := results.Open(path)
		require.NoError(t, err)
		require.Empty(t, f.Warnings)
		require.NotContains(t, render(t, New(nil, f)), "NaN")
	}
}

func TestAxis(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		log    bool
		ticks  []float64
	}{
		{"near each other", []float64{21, 24, 9}, false, []float64{0, 5, 10, 15, 20, 25}},
		{"decades apart", []float64{130, 5e8}, true, []float64{1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}},
		{"two decades", []float64{1.7, 63}, true, []float64{1, 2, 5, 10, 20, 50, 100}},
		{"nothing", []float64{0, 0}, false, []float64{0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAxis(tt.values, 0, 100)
			require.Equal(t, tt.log, a.log)
			require.InDeltaSlice(t, tt.ticks, a.ticks, 1e-6)
			for _, v := range tt.values {
				require.GreaterOrEqual(t, a.at(v), 0.0)
				require.LessOrEqual(t, a.at(v), 100.0)
			}
		})
	}
	a := logAxis(1, 100, 0, 100)
	require.InDelta(t, 50, a.at(10), 1e-9)
	require.InDelta(t, 0, a.at(0), 1e-9, "what has no logarithm is at the foot")
}

func TestWords(t *testing.T) {
	for unit, want := range map[string]string{
		"tok/s": "tokens a second", "ttft-p50-sec": "time to the first token, median",
		"itl-p99-sec": "time between tokens, 99th percentile", "wire-B/op": "bytes on the wire per operation",
		"kv-wire-B/tok": "bytes on the wire, kv per token", "client-peak-B": "peak memory, client's", "link-frac": "link-frac",
		"rtts/op": "round trips per operation", "remote-ops/op": "remote-ops/op",
	} {
		require.Equal(t, want, unitTitle(unit))
	}
	require.Equal(t, "gpt2, batch 4", variantText("model=gpt2/batch=4"))
	require.Equal(t, "upload, 16 MiB", variantText("op=upload/bytes=16777216"))
	require.Equal(t, "500 B", bytesText("500"))
	for v, want := range map[float64]string{1e-6: "1 µs", 0.02: "20 ms", 1: "1 s", 2000: "2000 s", 0: "0"} {
		require.Equal(t, want, tickText(v, "sec/op"))
	}
	require.Equal(t, "10 MB", tickText(1e7, "wire-B/tok"))
	require.Equal(t, "0.1", tickText(0.1, "tok/s"))
	require.Equal(t, "1k", tickText(1000, "tok/s"))
}

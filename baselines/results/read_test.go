package results

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func read(t *testing.T, text string) *File {
	t.Helper()
	f, err := Read(strings.NewReader(text), "test.txt")
	require.NoError(t, err)
	return f
}

func recording(t *testing.T, name string) *File {
	t.Helper()
	f, err := Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.Empty(t, f.Warnings)
	return f
}

func TestParseName(t *testing.T) {
	tests := []struct {
		name, in string
		want     Key
		label    string
	}{
		{
			"plain", "BenchmarkLLMDecode_Full/workload=llm-decode/baseline=full/model=gpt2/batch=1/net=loopback-2",
			Key{Workload: "llm-decode", Net: "loopback", Variant: "model=gpt2/batch=1", Baseline: "full"},
			"full",
		},
		{
			"ablation", "LLMDecode_Full/workload=llm-decode/baseline=full/ablation=weights+plan/model=gpt2/batch=1/net=lan-1g-500us",
			Key{Workload: "llm-decode", Net: "lan-1g-500us", Variant: "model=gpt2/batch=1", Baseline: "full", Ablation: "weights+plan"},
			"full [weights+plan]",
		},
		{
			"micro", "BenchmarkMicro_Full/workload=micro/baseline=full/op=upload/bytes=1048576/net=wan-100m-20ms-16",
			Key{Workload: "micro", Net: "wan-100m-20ms", Variant: "op=upload/bytes=1048576", Baseline: "full"},
			"full",
		},
		{"other benchmark", "BenchmarkOther/of=fma/threads=1-2", Key{Variant: "of=fma/threads=1"}, ""},
		{
			"parts in the workload", "BenchmarkGemmPacked/workload=gemm-packed-threads2-m8/baseline=avx512/threads=2/m=8-2",
			Key{Workload: "gemm-packed", Variant: "threads=2/m=8", Baseline: "avx512"},
			"avx512",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := ParseName(tt.in)
			require.Equal(t, tt.want, k)
			require.Equal(t, tt.label, k.Label())
			require.Equal(t, k, ParseName("X/"+k.String()), "the key's own spelling reads as itself")
		})
	}
	require.Equal(t, "1048576", ParseName(tests[2].in).Part("bytes"))
	require.Empty(t, ParseName(tests[2].in).Part("byte"))
}

// TestReadAgreesWithNames: the keys from benchproc's projections equal those of
// the names.
func TestReadAgreesWithNames(t *testing.T) {
	for _, name := range []string{"old.txt", "new.txt"} {
		f := recording(t, name)
		require.NotEmpty(t, f.Cases)
		for _, c := range f.Cases {
			require.Equal(t, ParseName(c.Name), c.Key)
			require.Same(t, c, f.Find(c.Key))
			require.Equal(t, 6, c.Runs)
		}
	}
}

func TestHeaderIsKeptThoughWithdrawn(t *testing.T) {
	f := recording(t, "new.txt")
	require.Equal(t, "2222222", f.Setting("commit"))
	require.Equal(t, "2.15.0", f.Setting("torch"))
	require.Equal(t, "Example CPU", f.Setting("cpu"))
	require.Empty(t, f.Setting("nothing"))
	require.Equal(t, Setting{"commit", "2222222"}, f.Header[0])
}

// TestLongLine: content after a line that is too long is not dropped silently,
// and a line of the maximum length is read.
func TestLongLine(t *testing.T) {
	const before, after = "goos: linux\n", "# unavailable workload=w baseline=b: why\n"
	line := func(n int) string { return "note: " + strings.Repeat("x", n-len("note: \n")) + "\n" }
	f := read(t, before+line(maxLine)+after+"BenchmarkX/workload=w/baseline=full 1 5 ns/op")
	require.Len(t, f.Absent, 1)
	require.Len(t, f.Cases, 1)
	require.Len(t, f.Setting("note"), maxLine-len("note: \n"))
	for name, text := range map[string]string{
		"in the middle": before + line(maxLine+1) + after, "very long": before + line(5*maxLine) + after,
		"at the end": before + strings.TrimSuffix(line(maxLine+2), "\n"),
	} {
		_, err := Read(strings.NewReader(text), "test.txt")
		require.ErrorIs(t, err, ErrLongLine, name)
		require.ErrorContains(t, err, "test.txt:2: ", name)
	}
}

func TestUnits(t *testing.T) {
	f := read(t, `Unit tok/s better=higher
Unit odd better=higher
Unit rtts/tok assume=exact
BenchmarkX/workload=w/baseline=b 2 5000000 ns/op 0 ttft-p50-ns 3 tok/s 1 odd 0 rtts/tok
BenchmarkX/workload=w/baseline=b 2 7000000 ns/op 4 ttft-p50-ns 3 tok/s 1 odd 0 rtts/tok
`)
	require.Empty(t, f.Warnings)
	c := f.Cases[0]
	require.Equal(t, []string{"sec/op", "ttft-p50-sec", "tok/s", "odd", "rtts/tok"}, c.Units(), "a zero is of the same unit")
	s, ok := c.Summary("sec/op")
	require.True(t, ok)
	require.InDelta(t, 0.006, s.Median, 1e-12)
	s, _ = c.Summary("ttft-p50-sec")
	require.Equal(t, 2, s.N)
	require.InDelta(t, 2e-9, s.Median, 1e-18)
	require.True(t, f.Exact("rtts/tok"))
	require.False(t, f.Exact("tok/s"))

	for unit, want := range map[string]int{
		"tok/s": 1, "odd": 1, "sec/op": -1, "images/s": 1, "GF/s": 1, "B/s": 1, "wire-B/tok": -1, "kv-wire-B/op": -1,
		"itl-p99-sec": -1, "rtts/op": -1, "client-peak-B": -1, "max-abs-err": -1, "allocs/op": -1,
		"remote-ops/op": 0, "predicted-sec": 0, "unheard": 0,
	} {
		require.Equal(t, want, f.Direction(unit), unit)
	}
	for unit, want := range map[string]Kind{
		"tok/s": Throughput, "images/s": Throughput, "link-B/s": Other, "sec/op": Latency, "ttft-p50-sec": Latency,
		"itl-p99-sec": Latency, "step-sec": Latency, "measured-sec": Other, "wire-B/tok": WireTotal,
		"kv-wire-B/tok": WireCause, "wire-weights-B/op": WireCause, "client-peak-B": Other, "B/op": Other,
	} {
		require.Equal(t, want, KindOf(unit), unit)
	}
}

func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		v               float64
		unit, text, per string
	}{
		{0.0123456, "ttft-sec", "12.35 ms", ""},
		{3.2e-6, "sec/op", "3.200 µs", "op"},
		{83, "wire-B/tok", "83 B", "tok"},
		{130.5, "wire-B/tok", "130.5 B", "tok"},
		{497759232, "weights-wire-B/tok", "474.7 MiB", "tok"},
		{62.84, "tok/s", "62.84", "s"},
		{0.2085, "tok/s", "0.2085", "s"},
		{51234, "tok/s", "51.23k", "s"},
		{0, "sec/op", "0 s", "op"},
		{0, "rtts/tok", "0", "tok"},
	} {
		text, per := Format(tt.v, tt.unit)
		require.Equal(t, tt.text, text, "%g %s", tt.v, tt.unit)
		require.Equal(t, tt.per, per)
	}
}

func TestAbsence(t *testing.T) {
	k := ParseName("X/workload=w/baseline=full/ablation=weights+plan/model=gpt2/batch=4/net=loopback")
	for _, failed := range []bool{false, true} {
		a := Absence{Key: k, Reason: "no Python: run\n genie bench setup", Failed: failed}
		line := a.Line()
		require.True(t, strings.HasPrefix(line, "# "))
		require.Equal(t, 1, strings.Count(line, "\n"))
		got, ok := parseAbsence(strings.TrimSpace(line))
		require.True(t, ok)
		require.Equal(t, Absence{Key: k, Reason: "no Python: run genie bench setup", Failed: failed}, got)
	}
	for _, line := range []string{"# unavailable", "# unavailable workload=w: r", "# a comment: of another kind", "unavailable workload=w baseline=b: r"} {
		_, ok := parseAbsence(line)
		require.False(t, ok, line)
	}
}

// TestAbsentUntilMeasured: the latest state counts.
func TestAbsentUntilMeasured(t *testing.T) {
	const result = "BenchmarkX/workload=w/baseline=b/net=loopback 1 3 tok/s\n"
	const failed = "# failed workload=w baseline=b net=loopback: died\n"
	const unavailable = "# unavailable workload=w baseline=b net=loopback: no torch\n"
	for _, tt := range []struct {
		name, text string
		reasons    []string
		runs       int
	}{
		{"never", unavailable, []string{"no torch"}, 0},
		{"later", unavailable + result, nil, 1},
		{"failed in between", failed + result, nil, 1},
		{"failed after some", result + failed, []string{"died"}, 1},
		{"twice", unavailable + failed, []string{"died"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := read(t, tt.text)
			var reasons []string
			for _, a := range f.Absent {
				reasons = append(reasons, a.Reason)
			}
			require.Equal(t, tt.reasons, reasons)
			if tt.runs > 0 {
				require.Equal(t, tt.runs, f.Cases[0].Runs)
			} else {
				require.Empty(t, f.Cases)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	const head = "cpu: A\nscale: small\n"
	const line = "BenchmarkX/workload=w/baseline=b-2 1 3 tok/s\n"
	for _, tt := range []struct{ name, text, want string }{
		{"another CPU", head + line + "cpu: B\n" + line, "results differ in cpu"},
		{"another scale", head + line + "scale: full\n" + line, "results differ in scale"},
		{"other threads", line + strings.ReplaceAll(line, "-2 ", "-4 "), "results differ in gomaxprocs"},
		{"not a result", line + "BenchmarkX/workload=w/baseline=b-2 many 3 tok/s\n", "parsing iteration count"},
		{"no number", line + "BenchmarkX/workload=w/baseline=b-2 1 NaN tok/s\n", "test.txt:2: tok/s is NaN"},
		{"units that differ", "Unit x better=higher\nUnit x better=lower\n" + line, "already set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := read(t, tt.text)
			require.Len(t, f.Warnings, 1)
			require.Contains(t, f.Warnings[0], tt.want)
			require.Len(t, f.Cases, 1)
		})
	}
	require.Empty(t, read(t, head+line+line).Warnings)
}

func TestOpen(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "none.txt"))
	require.ErrorIs(t, err, os.ErrNotExist)
	letter := filepath.Join(t.TempDir(), "letter.txt")
	require.NoError(t, os.WriteFile(letter, []byte("Dear Sir,\n"), 0o600))
	_, err = Open(letter)
	require.ErrorIs(t, err, ErrNoResults)
}

func TestOrderOfBaselines(t *testing.T) {
	var got []string
	for _, c := range recording(t, "old.txt").Cases {
		if c.Workload == "llm-decode" && c.Net == "loopback" && c.Part("batch") == "1" {
			got = append(got, c.Label())
		}
	}
	require.Equal(t, []string{
		"local-pytorch", "capture-only", "full [weights]", "full [weights+plan]", "full [weights+plan+kv]",
		"full [weights+plan+kv+sampling]", "full", "full-rpc", "local-remote", "no-semantics", "pytorch-rpc",
	}, got)
}

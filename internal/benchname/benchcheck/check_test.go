package benchcheck

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	const ok = "pkg: a\nUnit tok/s better=higher\n" +
		"BenchmarkX/workload=w/baseline=b/model=m-2 3 5 ns/op 7 tok/s 1 B/op 2 allocs/op\n" +
		"BenchmarkX/workload=w/baseline=b/model=m-2 3 6 ns/op 7 tok/s 1 B/op 2 allocs/op\n" +
		"BenchmarkY/workload=w/baseline=c/model=m-2 3 5 ns/op 9 MB/s\n" +
		"BenchmarkX/workload=w-2/baseline=b/batch=2-2 3 5 ns/op 10.5 linear1x2-%\n" +
		"ok a 1s\npkg: b\nBenchmarkZ/workload=w/baseline=b-2 3 5 ns/op\n"
	n, err := Check(strings.NewReader(ok))
	require.NoError(t, err)
	require.Equal(t, 4, n)
	for name, c := range map[string]struct{ line, want string }{
		"no parts":              {"BenchmarkX-2 3 5 ns/op", "no workload"},
		"no baseline":           {"BenchmarkX/workload=w-2 3 5 ns/op", "no baseline"},
		"no key":                {"BenchmarkX/workload=v/baseline=b/lan-2 3 5 ns/op", `"lan" is not key=value`},
		"no value":              {"BenchmarkX/workload=v/baseline=b/net=-2 3 5 ns/op", "is not key=value"},
		"no time":               {"BenchmarkX/workload=v/baseline=b-2 3 7 tok/s", "no time of an operation"},
		"zero time":             {"BenchmarkX/workload=v/baseline=b-2 3 0 ns/op", "no time of an operation"},
		"unit":                  {"BenchmarkX/workload=v/baseline=b-2 3 5 ns/op 1 peer-ns", "unit peer-sec is not declared"},
		"two of one place":      {"BenchmarkX/workload=w-2/baseline=b/batch=3-2 3 5 ns/op", "vary in .fullname"},
		"two functions":         {"BenchmarkV/workload=w/baseline=b-2 3 5 ns/op", "vary in .fullname"},
		"another number of CPU": {"BenchmarkX/workload=w/baseline=b/model=m-4 3 5 ns/op", "vary in .fullname"},
	} {
		_, err := Check(strings.NewReader("pkg: a\n" + ok[len("pkg: a\n"):strings.Index(ok, "ok a")] + c.line + "\n"))
		require.ErrorIs(t, err, ErrFaults, name)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err = Check(strings.NewReader("PASS\nok a 1s\n"))
	require.ErrorContains(t, err, "there are none")
}

// Package benchname names benchmarks as benchstat expects them, so that
//
//	benchstat -row /workload -col /baseline
//
// has a row for each measured thing and mixes no two of them: every part is
// key=value, and workload repeats the parts that distinguish variants. Only
// tests import it:
//
//	b.Run(benchname.Of("gemm-packed", "avx512", "threads=2", "m=128"), func(b *testing.B) { … })
//
// is gemm-packed-threads2-m128 of the baseline avx512.
package benchname

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// Of is the name of a sub-benchmark: the measured thing, the alternative that
// does it, and the parts that distinguish its variants, each "key=value". The
// workload does not repeat the parts model and net.
func Of(workload, baseline string, parts ...string) string {
	whole := []string{workload}
	for _, p := range parts {
		key, value, ok := strings.Cut(p, "=")
		if !ok {
			panic("benchname: " + p + " is not key=value")
		}
		if key != "model" && key != "net" {
			whole = append(whole, Suffix(key, value))
		}
	}
	return strings.Join(append([]string{"workload=" + strings.Join(whole, "-"), "baseline=" + baseline}, parts...), "/")
}

// Suffix is what a part adds to the name of the workload: its value, and its key
// where the value is a number.
func Suffix(key, value string) string {
	switch {
	case key == "batch":
		return "b" + value
	case value != "" && value[0] >= '0' && value[0] <= '9':
		return key + value
	}
	return value
}

// Declare writes the units of a package's benchmarks to w, each in benchstat's
// form ("GF/s better=higher"), if the flags of the test binary select
// benchmarks. TestMain calls it.
func Declare(w io.Writer, units ...string) {
	flag.Parse()
	f := flag.Lookup("test.bench")
	if f == nil || f.Value.String() == "" {
		return
	}
	for _, u := range units {
		_, _ = fmt.Fprintln(w, "Unit", u)
	}
}

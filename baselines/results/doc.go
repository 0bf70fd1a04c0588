// Package results reads recorded benchmark results, summarises them, and
// compares two recordings.
//
//	f, err := results.Open("new.txt")
//	c := f.Find(results.Key{Workload: "llm-decode", Net: "loopback", Variant: "model=gpt2/batch=1", Baseline: "full"})
//	s, ok := c.Summary("tok/s") // median and 95% interval
//
// A recording is a file in the Go benchmark format, so that benchstat reads it
// too. It contains three kinds of lines:
//
//   - Results are named by key=value parts,
//     BenchmarkLLMDecode_Full/workload=llm-decode/baseline=full/model=gpt2/batch=1/net=loopback-2.
//     Workload and net place a result in a section of a report, baseline and
//     ablation in a row, and all other parts are its variant.
//   - Configuration lines describe the run. benchstat makes a table for every
//     configuration, so a recording withdraws, before its first result, the
//     lines in which any two runs differ (commit, date, versions). [File.Header]
//     has them all.
//   - Cases without results are comments, which benchstat skips:
//     "# unavailable workload=llm-decode baseline=ray net=loopback: reason".
//
// Statistics are those of golang.org/x/perf/benchmath: the median and the rank
// test of Mann and Whitney, or equality for units that are declared exact.
package results

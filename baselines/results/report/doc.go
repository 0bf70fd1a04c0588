// Package report renders recorded benchmark results: as text, as JSON and as
// one self-contained HTML page with charts.
//
//	before, _ := results.Open("old.txt")
//	after, _ := results.Open("new.txt")
//	r := report.New(before, after) // before may be nil
//	err := report.WriteHTML(out, r)
package report

// Package report lays out recorded benchmark results for reading: as text, as
// JSON and as one HTML page with charts that needs nothing beside itself.
//
//	before, _ := results.Open("old.txt")
//	after, _ := results.Open("new.txt")
//	r := report.New(before, after) // before may be nil
//	err := report.WriteHTML(out, r)
package report

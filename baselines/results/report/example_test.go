package report_test

import (
	"bytes"
	"fmt"

	"github.com/genie-sdk/go/baselines/results"
	"github.com/genie-sdk/go/baselines/results/report"
)

func ExampleWriteHTML() {
	f, err := results.Open("../testdata/new.txt")
	if err != nil {
		panic(err)
	}
	r := report.New(nil, f)
	var page bytes.Buffer
	if err := report.WriteHTML(&page, r); err != nil {
		panic(err)
	}
	for _, s := range r.Sections {
		fmt.Println(s.Workload, "over", s.Net)
	}
	fmt.Println(bytes.HasPrefix(bytes.TrimSpace(page.Bytes()), []byte("<!DOCTYPE html>")))
	// Output:
	// llm-decode over loopback
	// llm-decode over lan-1g-500us
	// vision-cnn over loopback
	// micro over loopback
	// true
}

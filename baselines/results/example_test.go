package results_test

import (
	"fmt"

	"github.com/genie-sdk/go/baselines/results"
)

func ExampleGate() {
	before, err := results.Open("testdata/old.txt")
	if err != nil {
		panic(err)
	}
	after, err := results.Open("testdata/new.txt")
	if err != nil {
		panic(err)
	}
	v := results.Gate(before, after, 0.05)
	f := v.Findings[0]
	fmt.Println(v.OK, f.Reason, f.Baseline, f.Unit)
	fmt.Printf("%+.1f%%, p=%.3f\n", *f.Percent, *f.P)
	// Output:
	// false regression full sec/op
	// +20.8%, p=0.002
}

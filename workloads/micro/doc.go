// Package micro is the workload of single operators and transfers, and what it
// is for: to hold the cost model of package semantic against measurements.
//
// A [Case] is one operator or one transfer at one size. [All] makes the
// workloads of a scale of them, with outputs that PyTorch computed in float64.
// [Calibrate] measures cases of other sizes through a client and fits a
// [semantic.Device] to them; [Judge] measures the cases of the workload and
// compares them with what the cost model says of that device.
//
//	client, err := genie.Open(ctx, "tcp://host:7070")
//	device, err := micro.Calibrate(ctx, client, micro.SuiteAt(workloads.Small), micro.Sampling{})
//	judged, err := micro.Judge(ctx, client, device, micro.SuiteAt(workloads.Small), micro.Sampling{})
//
// A transfer is a run whose bytes prove that they arrived: an upload comes back
// as one weighted sum a row, a download is rows of a table that the executor has
// and the request chooses, an echo comes back with one added to each element.
package micro

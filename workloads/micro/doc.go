// Package micro is the workload of single operators and transfers. It tests the
// cost model of package semantic against measurements.
//
// A [Case] is one operator or one transfer at one size. [All] returns the
// workloads of a scale, with outputs that PyTorch computed in float64.
// [Calibrate] measures cases of other sizes through a client and fits a
// [semantic.Device] to them; [Judge] measures the cases of the workload and
// compares them with the cost model's predictions for that device.
//
//	client, err := genie.Open(ctx, "tcp://host:7070")
//	device, err := micro.Calibrate(ctx, client, micro.SuiteAt(workloads.Small), micro.Sampling{})
//	judged, err := micro.Judge(ctx, client, device, micro.SuiteAt(workloads.Small), micro.Sampling{})
//
// A transfer is a run that proves the arrival of its bytes: an upload returns
// one weighted sum per row, a download returns rows, selected by the request,
// of a table that the executor holds, an echo returns each element plus one.
package micro

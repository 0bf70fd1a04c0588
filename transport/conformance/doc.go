// Package conformance is the suite that every executor passes: values, shapes,
// element types, errors by errors.Is, cancellation, sessions side by side,
// growing carried state, kept values and stale handles, reuse of plans and
// weights, and a ledger whose causes add up to what the socket counted.
//
// A test of an executor is one call:
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, func(t *testing.T) transport.Executor {
//			return myexecutor.Open(...)
//		}, conformance.Options{Remote: true})
//	}
//
// The suite uses packages transport and transport/plan alone, and builds its
// plans by hand.
package conformance

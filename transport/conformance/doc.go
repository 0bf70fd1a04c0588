// Package conformance is the suite that every executor passes: values, shapes,
// element types, errors by errors.Is, cancellation, concurrent sessions,
// growing carried state, retained values and stale handles, reuse of plans and
// weights, and a ledger whose causes add up to the bytes that the socket
// counted.
//
// A test of an executor is one call:
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, func(t *testing.T) transport.Executor {
//			return myexecutor.Open(...)
//		}, conformance.Options{Remote: true})
//	}
//
// The suite uses only packages transport and transport/plan, and builds its
// plans by hand.
package conformance

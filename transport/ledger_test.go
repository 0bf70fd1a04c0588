package transport_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// TestSumLedgers adds up what two ledgers count, in every counter of a snapshot.
func TestSumLedgers(t *testing.T) {
	var a, b transport.Ledger
	for c := range plan.NumCauses {
		a.AddSent(plan.Cause(c), 1)
		b.AddReceived(plan.Cause(c), 2)
	}
	a.AddShared(3, 4)
	b.AddSocket(5, 6)
	b.AddRoundTrips(7)
	sum := transport.SumLedgers(&a, &b)
	sum.AddRoundTrips(1)
	got := sum.Snapshot()
	for i := range reflect.TypeFor[transport.Snapshot]().NumField() {
		require.False(t, reflect.ValueOf(got).Field(i).IsZero(), reflect.TypeFor[transport.Snapshot]().Field(i).Name)
	}
	require.Equal(t, transport.Snapshot{RoundTrips: 1}, got.Sub(a.Snapshot()).Sub(b.Snapshot()))
	require.Equal(t, got, a.Snapshot().Add(b.Snapshot()).Add(transport.Snapshot{RoundTrips: 1}))
}

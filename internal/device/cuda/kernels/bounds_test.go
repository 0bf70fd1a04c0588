package kernels

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTeamsHaveRegisters holds that kernels with teams are compiled for the
// largest one: what compiles PTX on a device may otherwise give a thread more
// registers than such a block has.
func TestTeamsHaveRegisters(t *testing.T) {
	for module, names := range map[string][]string{
		"norm":   {"layer_norm", "layer_norm_long", "rms_norm", "rms_norm_long", "softmax", "softmax_long", "log_softmax", "log_softmax_long"},
		"reduce": {"reduce", "reduce_columns"},
	} {
		text, err := images.ReadFile("generated/sm_80/" + module + ".ptx")
		require.NoError(t, err)
		for _, name := range names {
			_, entry, found := strings.Cut(string(text), ".entry "+name+"(")
			require.True(t, found, name)
			head, _, _ := strings.Cut(entry, "{")
			require.Contains(t, head, fmt.Sprintf(".maxntid %d, 1, 1", maxTeam), name)
		}
	}
}

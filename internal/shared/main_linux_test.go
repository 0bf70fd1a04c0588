package shared

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(victimEnv); name != "" {
		victim(name)
	}
	goleak.VerifyTestMain(m)
}

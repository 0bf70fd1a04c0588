package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestComposeFleet holds the flags, ports and times of the compose file against the
// program.
func TestComposeFleet(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deploy, "compose", "fleet.yaml"))
	require.NoError(t, err)
	var file struct {
		Services map[string]struct {
			Command     []string `yaml:"command"`
			StopGrace   string   `yaml:"stop_grace_period"`
			Healthcheck struct {
				Test []string `yaml:"test"`
			} `yaml:"healthcheck"`
		} `yaml:"services"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	require.Len(t, file.Services, 4)
	directory := file.Services["directory"].Command
	require.Equal(t, "fleet", directory[0])
	cmd := (&app{}).fleetCommand()
	require.NoError(t, cmd.ParseFlags(directory[1:]))
	at, err := cmd.Flags().GetString("listen")
	require.NoError(t, err)
	require.Contains(t, file.Services["directory"].Healthcheck.Test, at)
	seen := map[string]bool{}
	for name, s := range file.Services {
		if name == "directory" {
			continue
		}
		f := workerFlags(t, s.Command)
		join, err := f.GetString("join")
		require.NoError(t, err)
		require.Equal(t, at, join)
		listen, metrics := ports(t, f)
		for _, p := range append(listen, metrics) {
			require.False(t, seen[p], "port %s twice", p)
			seen[p] = true
		}
		require.True(t, strings.HasSuffix(s.Healthcheck.Test[len(s.Healthcheck.Test)-1], ":"+metrics))
		grace, err := time.ParseDuration(s.StopGrace)
		require.NoError(t, err)
		move, err := f.GetDuration("move-timeout")
		require.NoError(t, err)
		drain, err := f.GetDuration("drain-timeout")
		require.NoError(t, err)
		require.Greater(t, grace, move+drain, name)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const deploy = "../../deploy"

// workerFlags parses the arguments of a worker as the program does, so that an
// unknown flag, or an invalid value, is an error.
func workerFlags(t *testing.T, args []string) *pflag.FlagSet {
	t.Helper()
	require.NotEmpty(t, args)
	require.Equal(t, "worker", args[0])
	cmd := (&app{}).workerCommand()
	require.NoError(t, cmd.ParseFlags(args[1:]), "%v", args)
	require.Empty(t, cmd.Flags().Args(), "no flag")
	listen, err := cmd.Flags().GetStringArray("listen")
	require.NoError(t, err)
	for _, u := range listen {
		_, _, err := parseListen(u)
		require.NoError(t, err)
	}
	return cmd.Flags()
}

// ports are those that a worker with these flags listens on.
func ports(t *testing.T, f *pflag.FlagSet) (listen []string, metrics string) {
	t.Helper()
	urls, err := f.GetStringArray("listen")
	require.NoError(t, err)
	for _, text := range urls {
		u, err := url.Parse(text)
		require.NoError(t, err)
		listen = append(listen, u.Port())
	}
	at, err := f.GetString("metrics")
	require.NoError(t, err)
	_, metrics, err = net.SplitHostPort(at)
	require.NoError(t, err)
	return listen, metrics
}

func drainTimeout(t *testing.T, f *pflag.FlagSet) time.Duration {
	t.Helper()
	d, err := f.GetDuration("drain-timeout")
	require.NoError(t, err)
	return d
}

// unit reads a systemd unit: values by section and key, in order.
func unit(t *testing.T, path string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	out, section := map[string][]string{}, ""
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		default:
			k, v, ok := strings.Cut(line, "=")
			require.True(t, ok, line)
			out[section+"."+k] = append(out[section+"."+k], v)
		}
	}
	return out
}

func TestSystemdUnit(t *testing.T) {
	path := filepath.Join(deploy, "systemd", "genie-worker.service")
	u := unit(t, path)
	args := strings.Fields(u["Service.ExecStart"][0])
	f := workerFlags(t, args[1:])
	listen, metrics := ports(t, f)
	require.Equal(t, []string{"7070", "7071"}, listen)
	require.Equal(t, "9090", metrics)
	stop, err := time.ParseDuration(u["Service.TimeoutStopSec"][0] + "s")
	require.NoError(t, err)
	require.Greater(t, stop, drainTimeout(t, f)+5*time.Second)
	for key, want := range map[string]string{
		"DynamicUser": "yes", "ProtectSystem": "strict", "NoNewPrivileges": "yes", "KillSignal": "SIGTERM",
		"SuccessExitStatus": "3", "LimitNOFILE": "65536", "CapabilityBoundingSet": "", "Restart": "on-failure",
	} {
		require.Equal(t, []string{want}, u["Service."+key], key)
	}
	require.Equal(t, 3, exitDrain, "SuccessExitStatus")

	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not here: the unit was not verified by it")
		return
	}
	// The program must exist.
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	copied := filepath.Join(t.TempDir(), "genie-worker.service")
	require.NoError(t, os.WriteFile(copied, bytes.ReplaceAll(text, []byte(args[0]), []byte(os.Getenv(binaryEnv))), 0o600))
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", copied).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), filepath.Base(copied), "it has something to say of the unit")
}

func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deploy, "Dockerfile"))
	require.NoError(t, err)
	said := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		said[word] = append(said[word], rest)
	}
	require.Equal(t, []string{`["/genie"]`}, said["ENTRYPOINT"])
	var args []string
	require.NoError(t, json.Unmarshal([]byte(said["CMD"][0]), &args))
	listen, metrics := ports(t, workerFlags(t, args))
	require.ElementsMatch(t, strings.Fields(said["EXPOSE"][0]), append(listen, metrics))
	require.Equal(t, "scratch", said["FROM"][len(said["FROM"])-1])
	require.Equal(t, []string{"65532:65532"}, said["USER"])
	require.Equal(t, []string{"SIGTERM"}, said["STOPSIGNAL"])
	require.Contains(t, strings.Join(said["RUN"], "\n"), "CGO_ENABLED=0")
	_, health, ok := strings.Cut(said["HEALTHCHECK"][0], "CMD ")
	require.True(t, ok)
	var check []string
	require.NoError(t, json.Unmarshal([]byte(health), &check))
	require.Equal(t, []string{"/genie", "health", "http://127.0.0.1:" + metrics}, check)

	mod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	version := strings.TrimPrefix(strings.Fields(said["FROM"][0])[0], "golang:")
	require.Contains(t, string(mod), "\ngo "+version, "the image builds with the version that go.mod wants")
}

// manifests are the objects of a file by kind.
func manifests(t *testing.T, path string) map[string]map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	out := map[string]map[string]any{}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var m map[string]any
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		out[m["kind"].(string)] = m
	}
}

// at follows a path of keys and indices.
func at[T any](t *testing.T, from any, path ...any) T {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := from.(map[string]any)
			require.True(t, ok, "%v of %v", p, path)
			require.Contains(t, m, p, "%v", path)
			from = m[p]
		case int:
			from = from.([]any)[p]
		}
	}
	v, ok := from.(T)
	require.True(t, ok, "%v is a %T", path, from)
	return v
}

func TestKubernetes(t *testing.T) {
	all := manifests(t, filepath.Join(deploy, "kubernetes", "worker.yaml"))
	for _, kind := range []string{"ServiceAccount", "Secret", "Deployment", "Service", "NetworkPolicy"} {
		require.Contains(t, all, kind)
		require.Equal(t, "genie-worker", at[string](t, all[kind], "metadata", "name"))
	}
	pod := at[map[string]any](t, all["Deployment"], "spec", "template", "spec")
	c := at[map[string]any](t, pod, "containers", 0)
	var args []string
	for _, a := range at[[]any](t, c, "args") {
		args = append(args, a.(string))
	}
	f := workerFlags(t, args)
	listen, metrics := ports(t, f)

	// Ports: the container's are those of the flags, the Service's and the
	// policy's are the container's, and the probes ask that of the metrics.
	named := map[string]string{}
	for i := range at[[]any](t, c, "ports") {
		named[at[string](t, c, "ports", i, "name")] = strconv.Itoa(at[int](t, c, "ports", i, "containerPort"))
	}
	require.Equal(t, map[string]string{"tcp": listen[0], "grpc": listen[1], "metrics": metrics}, named)
	for i := range at[[]any](t, all["Service"], "spec", "ports") {
		target := at[string](t, all["Service"], "spec", "ports", i, "targetPort")
		require.Equal(t, named[target], strconv.Itoa(at[int](t, all["Service"], "spec", "ports", i, "port")))
	}
	var open []string
	for i := range at[[]any](t, all["NetworkPolicy"], "spec", "ingress") {
		for j := range at[[]any](t, all["NetworkPolicy"], "spec", "ingress", i, "ports") {
			open = append(open, strconv.Itoa(at[int](t, all["NetworkPolicy"], "spec", "ingress", i, "ports", j, "port")))
		}
	}
	require.ElementsMatch(t, append(slices.Clone(listen), metrics), open)
	for probe, path := range map[string]string{"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"} {
		require.Equal(t, path, at[string](t, c, probe, "httpGet", "path"))
		require.Equal(t, "metrics", at[string](t, c, probe, "httpGet", "port"))
	}
	labels := at[map[string]any](t, all["Deployment"], "spec", "template", "metadata", "labels")
	require.Equal(t, at[map[string]any](t, all["Deployment"], "spec", "selector", "matchLabels"), labels)
	require.Equal(t, at[map[string]any](t, all["Service"], "spec", "selector"), labels)
	require.Equal(t, at[map[string]any](t, all["NetworkPolicy"], "spec", "podSelector", "matchLabels"), labels)

	// Memory and disk: the worker refuses what does not fit before it is killed
	// or evicted for it.
	require.Less(t, size(t, f, "mem-limit"), quantity(t, at[string](t, c, "resources", "limits", "memory")))
	disk := ""
	for i := range at[[]any](t, pod, "volumes") {
		if at[string](t, pod, "volumes", i, "name") == "cache" {
			disk = at[string](t, pod, "volumes", i, "emptyDir", "sizeLimit")
		}
	}
	require.Less(t, size(t, f, "cache-bytes"), quantity(t, disk))

	// Times.
	pause := time.Duration(at[int](t, c, "lifecycle", "preStop", "sleep", "seconds")) * time.Second
	grace := time.Duration(at[int](t, pod, "terminationGracePeriodSeconds")) * time.Second
	require.Greater(t, grace, pause+drainTimeout(t, f)+5*time.Second)

	// Rights.
	require.True(t, at[bool](t, pod, "securityContext", "runAsNonRoot"))
	require.False(t, at[bool](t, pod, "automountServiceAccountToken"))
	require.True(t, at[bool](t, c, "securityContext", "readOnlyRootFilesystem"))
	require.False(t, at[bool](t, c, "securityContext", "allowPrivilegeEscalation"))
	require.Equal(t, []any{"ALL"}, at[[]any](t, c, "securityContext", "capabilities", "drop"))
	require.Contains(t, at[map[string]any](t, c, "resources", "limits"), "memory")
}

// size is a flag of bytes.
func size(t *testing.T, f *pflag.FlagSet, name string) byteSize {
	t.Helper()
	b, ok := f.Lookup(name).Value.(*byteSize)
	require.True(t, ok, name)
	require.Positive(t, *b, name)
	return *b
}

// quantity is an amount as Kubernetes writes it, such as 8Gi.
func quantity(t *testing.T, text string) (b byteSize) {
	t.Helper()
	require.NoError(t, b.Set(text+"B"))
	return b
}

package simulation_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/fleet/simulation"
)

func TestCommittedScenariosAreSound(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/scenarios/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		s := parse(t, string(b))
		require.Equal(t, strings.TrimSuffix(filepath.Base(file), ".json"), s.Name)
		require.NotEmpty(t, s.About)
	}
}

func TestScenariosHaveDefaults(t *testing.T) {
	s := parse(t, strings.ReplaceAll(small, `, "max_batch": 8, "chunk": 64`, ""))
	require.InDelta(t, 1, s.Report, 0)
	require.InDelta(t, 1, s.Detect, 0)
	require.Equal(t, 4, s.Models[0].KVHeads)
	require.Equal(t, 256, s.Models[0].Inner)
	require.Equal(t, "bf16", s.Models[0].Storage)
	require.Equal(t, 64, s.Workers[0].MaxBatch)
	require.Equal(t, 512, s.Workers[0].Chunk)
	require.Equal(t, "interactive", s.Sessions[0].Class)
	require.Equal(t, 1, s.Sessions[1].Tenants)
}

func TestParseRefuses(t *testing.T) {
	device := func(d string) [2]string {
		return [2]string{`"models": [{`, `"devices": {"d": ` + d + `}, "models": [{`}
	}
	for name, change := range map[string][2]string{
		"an unknown key":             {`"seed"`, `"sead"`},
		"an unknown key of a worker": {`"gbit"`, `"gbits"`},
		"a second value":             {`{"name": "small"`, `{} {"name": "small"`},
		"no number":                  {`"seconds": 20`, `"seconds": NaN`},
		"a number too large to be":   {`"seconds": 20`, `"seconds": 1e999`},
		"no time":                    {`"seconds": 20`, `"seconds": 0`},
		"negative time":              {`"seconds": 20`, `"seconds": -20`},
		"too long a time":            {`"seconds": 20`, `"seconds": 1e9`},
		"negative seed":              {`"seed": 7`, `"seed": -7`},
		"no name":                    {`"name": "small"`, `"name": ""`},
		"a name that clears screens": {`"name": "small"`, `"name": "\u001b[2J"`},
		"reports all the time":       {`"seed": 7`, `"report_seconds": 1e-9`},
		"filters before reports":     {`"filter_seconds": 2`, `"filter_seconds": 0.5`},
		"negative target":            {`"target_p99_seconds": 1`, `"target_p99_seconds": -1`},
		"an unknown router":          {`"seed": 7`, `"routers": ["best"]`},
		"a day of nothing":           {`"seed": 7`, `"day": {"seconds": 0, "amplitude": 0.5}`},
		"negative nights":            {`"seed": 7`, `"day": {"seconds": 60, "amplitude": 2}`},
		"too many workers":           {`"count": 3`, `"count": 40000`},
		"negative workers":           {`"count": 3`, `"count": -3`},
		"workers beyond integers":    {`"count": 3`, `"count": 1e30`},
		"workers that sum up":        {`"count": 3`, `"count": 32768`},
		"two groups of one name":     {`"name": "b"`, `"name": "a"`},
		"an unknown device":          {`"h100"`, `"h101"`},
		"no memory":                  {`"memory_gib": 0.02`, `"memory_gib": 0`},
		"weights that do not fit":    {`"vocab": 1000`, `"vocab": 1000000`},
		"a worker without models":    {`"models": ["m"]`, `"models": []`},
		"one model twice":            {`"models": ["m"]`, `"models": ["m", "m"]`},
		"a link without speed":       {`"gbit": 10`, `"gbit": 0`},
		"a link of the past":         {`"delay_ms": 1}`, `"delay_ms": -1}`},
		"huge batches":               {`"max_batch": 8`, `"max_batch": 1000000`},
		"negative chunks":            {`"chunk": 64`, `"chunk": -64`},
		"heads that do not divide":   {`"heads": 4`, `"heads": 5`},
		"too many layers":            {`"layers": 2`, `"layers": 1000000`},
		"unknown storage":            {`"vocab": 1000`, `"vocab": 1000, "storage": "f8"`},
		"too many sessions":          {`"count": 120`, `"count": 5000000`},
		"an unknown model":           {`"name": "chat", "model": "m"`, `"name": "chat", "model": "n"`},
		"an unknown class":           {`"class": "batch"`, `"class": "urgent"`},
		"too many prefixes":          {`"count": 10, "tokens"`, `"count": 10000000, "tokens"`},
		"steep prefixes":             {`"skew": 1`, `"skew": 100`},
		"no turns":                   {`"turns": {"min": 1, "max": 4}`, `"turns": {"min": 0, "max": 4}`},
		"a range that is reversed":   {`"prompt": {"min": 8, "max": 64}`, `"prompt": {"min": 64, "max": 8}`},
		"huge prompts":               {`"prompt": {"min": 8, "max": 64}`, `"prompt": {"min": 8, "max": 1000000}`},
		"huge sessions":              {`"turns": {"min": 1, "max": 4}, "prompt": {"min": 8, "max": 64}`, `"turns": {"min": 1, "max": 1024}, "prompt": {"min": 8, "max": 32768}`},
		"thoughts of the past":       {`"think_seconds": {"min": 0`, `"think_seconds": {"min": -1`},
		"too many tenants":           {`"tenants": 4`, `"tenants": 1000000`},
		"a drain of nobody":          {`"seed": 7`, `"drains": [{"group": "c", "count": 1}]`},
		"a drain of more":            {`"seed": 7`, `"drains": [{"group": "a", "count": 4}]`},
		"a device without speed":     device(`{"FLOPS": 0, "Bandwidth": 1e9}`),
		"a device of the past":       device(`{"FLOPS": 1e9, "Bandwidth": -1e9}`),
		"a device that waits":        device(`{"FLOPS": 1e9, "Bandwidth": 1e9, "Launch": 1e9}`),
		"a device of another kind":   device(`{"FLOPS": 1e9, "Bandwidth": 1e9, "Kind": "abacus"}`),
	} {
		require.Contains(t, small, change[0], name)
		_, err := simulation.Parse(strings.NewReader(strings.Replace(small, change[0], change[1], 1)))
		require.ErrorIs(t, err, simulation.ErrScenario, name)
	}
	for name, text := range map[string]string{
		"nothing": "", "null": "null", "a list": "[]", "a part": small[:len(small)-1],
		"depth": strings.Repeat("[", 100_000), "too many bytes": small + strings.Repeat(" ", simulation.MaxScenario),
	} {
		_, err := simulation.Parse(strings.NewReader(text))
		require.ErrorIs(t, err, simulation.ErrScenario, name)
	}
}

// A file whose numbers are within bounds may still ask for steps or times that no
// clock counts: it ends with an error.
func TestRunRefusesStepsThatTakeForEver(t *testing.T) {
	s := parse(t, strings.NewReplacer(`"device": "h100"`, `"device": "d"`, `"models": [{`, `"devices": {"d": {"FLOPS": 1, "Bandwidth": 1}}, "models": [{`).Replace(small))
	_, err := s.Run(t.Context(), simulation.Options{})
	require.ErrorIs(t, err, simulation.ErrScenario)
	require.ErrorContains(t, err, "a step takes")
}

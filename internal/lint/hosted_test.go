package lint

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestHostedCI checks that hosted CI runs .ci/run and nothing else, with
// actions pinned to commits, few rights and a time limit.
func TestHostedCI(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root(), ".github", "workflows", "*.yml"))
	require.NoError(t, err)
	require.Len(t, files, 1, "one workflow")
	text, err := os.ReadFile(files[0])
	require.NoError(t, err)
	var w struct {
		Permissions map[string]string `yaml:"permissions"`
		Jobs        map[string]struct {
			Timeout int `yaml:"timeout-minutes"`
			Steps   []struct {
				Uses string `yaml:"uses"`
				Run  string `yaml:"run"`
			} `yaml:"steps"`
		} `yaml:"jobs"`
	}
	require.NoError(t, yaml.Unmarshal(text, &w))
	require.Equal(t, map[string]string{"contents": "read"}, w.Permissions)
	pinned := regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40}$`)
	var runs []string
	for name, job := range w.Jobs {
		require.Positive(t, job.Timeout, "%s has no end", name)
		for _, s := range job.Steps {
			if s.Uses != "" {
				require.Regexp(t, pinned, s.Uses)
			}
			if s.Run != "" {
				runs = append(runs, strings.TrimSpace(s.Run))
			}
		}
	}
	require.Equal(t, []string{"bash .ci/run"}, runs)
}

// TestTemplates checks that the issue forms are valid forms.
func TestTemplates(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root(), ".github", "ISSUE_TEMPLATE", "*.yml"))
	require.NoError(t, err)
	forms := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		var form struct {
			Name        string `yaml:"name"`
			Description string `yaml:"description"`
			Body        []struct {
				Type       string         `yaml:"type"`
				ID         string         `yaml:"id"`
				Attributes map[string]any `yaml:"attributes"`
			} `yaml:"body"`
		}
		require.NoError(t, yaml.Unmarshal(text, &form), path)
		if filepath.Base(path) == "config.yml" {
			continue
		}
		forms++
		require.NotEmpty(t, form.Name, path)
		require.NotEmpty(t, form.Description, path)
		require.NotEmpty(t, form.Body, path)
		for _, f := range form.Body {
			require.Contains(t, []string{"textarea", "dropdown", "input", "markdown", "checkboxes"}, f.Type, path)
			require.NotEmpty(t, f.ID, path)
			require.NotEmpty(t, f.Attributes["label"], path)
		}
	}
	require.Equal(t, 3, forms)
}

// TestStageBudgets checks that every stage of .ci/run has a budget, and that
// their sum is below the limit of the whole. It names an unknown stage, which
// is refused after that check, so nothing is run.
func TestStageBudgets(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash; install it to check the stages of .ci/run")
	}
	cmd := exec.Command(bash, ".ci/run", "none")
	cmd.Dir = root()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 2, exit.ExitCode(), "%s", out)
	require.Contains(t, string(out), "no stage none")
	require.Contains(t, string(out), "budgets: ")
}

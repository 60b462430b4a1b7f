package kubernetes_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

func TestCompose_Project(t *testing.T) {
	for name, environ := range environments(t, "compose") {
		t.Run(name, func(t *testing.T) {
			project := load(t, manifest(t, environ, "compose"))
			app, c := project.Services["app"], project.Services["cosproxy"]
			if app.NetworkMode != "service:cosproxy" || app.DependsOn["cosproxy"].Condition != types.ServiceConditionHealthy {
				t.Errorf("application: %+v", app)
			}
			if !c.ReadOnly || strings.Join(c.CapDrop, "") != "ALL" || c.User != "65532:65532" || strings.Join(c.SecurityOpt, "") != "no-new-privileges:true" || c.Privileged {
				t.Errorf("cosproxy has privileges: %+v", c)
			}
			drain := 25 * time.Second
			if name == "guarded" {
				drain = 90 * time.Second
			}
			if time.Duration(*c.StopGracePeriod) <= drain || strings.Join(c.HealthCheck.Test, " ") != "CMD /cosproxy healthcheck livez" {
				t.Errorf("cosproxy: %v, %v", c.StopGracePeriod, c.HealthCheck)
			}
			for variable, value := range c.Environment {
				if !strings.HasSuffix(variable, "_FILE") {
					continue
				}
				if _, ok := project.Secrets[filepath.Base(*value)]; !ok && !mounted(c, filepath.Dir(*value)) {
					t.Errorf("%s=%s is not mounted", variable, *value)
				}
			}
			if len(c.Secrets) != len(project.Secrets) || len(app.Secrets) > 0 {
				t.Errorf("secrets %v, %v", c.Secrets, project.Secrets)
			}
		})
	}
}

func mounted(c types.ServiceConfig, dir string) bool {
	for _, v := range c.Volumes {
		if v.Target == dir && v.ReadOnly {
			return true
		}
	}
	return false
}

func TestCompose_NastyValues(t *testing.T) {
	for _, value := range nasty {
		environ := with(t, "compose", "COSPROXY_ROLE_EXTERNAL_ID="+value, "COSPROXY_CLIENT_TOKEN_FILE=/srv/"+value)
		project := load(t, manifest(t, environ, "compose"))
		if got := *project.Services["cosproxy"].Environment["COSPROXY_ROLE_EXTERNAL_ID"]; got != value {
			t.Errorf("%q becomes %q", value, got)
		}
		if got := project.Secrets["client-token"].File; got != "/srv/"+value {
			t.Errorf("/srv/%q becomes %q", value, got)
		}
	}
}

func TestCompose_BreakingCharacters(t *testing.T) {
	accepted(t, "compose", func(value, socket string, text []byte) {
		c := load(t, text).Services["cosproxy"]
		if got := *c.Environment["COSPROXY_ROLE_EXTERNAL_ID"]; got != value {
			t.Errorf("%q becomes %q", value, got)
		}
		if got := *c.Environment["COSPROXY_LISTEN"]; got != "unix://"+socket {
			t.Errorf("%q becomes %q", socket, got)
		}
	})
}

// load parses, validates and resolves a file as docker compose does.
func load(t *testing.T, text []byte) *types.Project {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secrets/environment"), []byte("COSPROXY_CREDENTIALS_URL=https://keys.example/\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: text}},
		Environment: types.Mapping{"HOME": "EXPANDED"},
	}, func(o *loader.Options) { o.SetProjectName("test", true) })
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return project
}

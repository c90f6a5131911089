package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/qlik-chatops/bot/internal/authz"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/config"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Every scope is power that a stolen token has. A new one is a change to what
// operators have agreed to: it needs the changelog, and people to install again.
func TestTheSlackAppAsksForNoMoreThanTheBotUses(t *testing.T) {
	t.Parallel()
	var manifest struct {
		Display struct{ Name, Description string } `yaml:"display_information"`
		Feat    struct {
			Commands []struct {
				Command, Description string
				Hint                 string `yaml:"usage_hint"`
				Escape               bool   `yaml:"should_escape"`
				URL                  string `yaml:"url"`
			} `yaml:"slash_commands"`
			Bot struct {
				Name string `yaml:"display_name"`
			} `yaml:"bot_user"`
			Home struct {
				Home     bool `yaml:"home_tab_enabled"`
				Messages bool `yaml:"messages_tab_enabled"`
			} `yaml:"app_home"`
		} `yaml:"features"`
		OAuth struct {
			Scopes map[string][]string
		} `yaml:"oauth_config"`
		Settings struct {
			Events struct {
				Bot  []string `yaml:"bot_events"`
				User []string `yaml:"user_events"`
				URL  string   `yaml:"request_url"`
			} `yaml:"event_subscriptions"`
			Interactivity struct {
				Enabled bool `yaml:"is_enabled"`
			}
			Socket   bool `yaml:"socket_mode_enabled"`
			Rotation bool `yaml:"token_rotation_enabled"`
			Org      bool `yaml:"org_deploy_enabled"`
		}
	}
	if err := yaml.Unmarshal(read(t, "slack-app-manifest.yaml"), &manifest); err != nil {
		t.Fatal(err)
	}
	wantScopes := map[string][]string{"bot": {
		"commands", "chat:write", "users:read", "users:read.email", "usergroups:read", "channels:read", "groups:read",
	}}
	if diff := cmp.Diff(wantScopes, manifest.OAuth.Scopes); diff != "" {
		t.Errorf("scopes (-want +got):\n%s", diff)
	}
	wantEvents := []string{"app_home_opened", "user_change", "subteam_members_changed"}
	if diff := cmp.Diff(wantEvents, manifest.Settings.Events.Bot); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if len(manifest.Settings.Events.User) > 0 {
		t.Error("the app subscribes to events of people")
	}
	s := manifest.Settings
	if !s.Socket || !s.Interactivity.Enabled || s.Rotation || s.Org || s.Events.URL != "" {
		t.Errorf("settings are %+v; want Socket Mode and interactivity, and neither rotation, nor the whole organisation, nor an address", s)
	}
	if !manifest.Feat.Home.Home || !manifest.Feat.Home.Messages {
		t.Error("the Home and Messages tabs must be on")
	}
	if len(manifest.Feat.Commands) != 1 {
		t.Fatalf("the app has %d commands, want one", len(manifest.Feat.Commands))
	}
	c := manifest.Feat.Commands[0]
	if c.Command != "/qlik" || !c.Escape || c.URL != "" {
		t.Errorf("the command is %+v; want /qlik, escaped, without an address", c)
	}
	// Limits of Slack's schema for manifests, in characters.
	for what, l := range map[string]struct {
		text string
		max  int
	}{
		"name":                {manifest.Display.Name, 35},
		"description":         {manifest.Display.Description, 140},
		"display name":        {manifest.Feat.Bot.Name, 80},
		"command description": {c.Description, 2000},
		"usage hint":          {c.Hint, 1000},
	} {
		if n := len([]rune(l.text)); n == 0 || n > l.max {
			t.Errorf("the %s has %d characters, want 1 to %d", what, n, l.max)
		}
	}
}

// exampleEnv sets what env.example sets, with something made up where it has
// nothing and with what stands behind a comment sign if asked for.
func exampleEnv(t *testing.T, withComments bool) {
	t.Helper()
	madeUp := map[string]string{"SLACK_BOT_TOKEN": "xoxb-" + "demo", "SLACK_APP_TOKEN": "xapp-" + "demo"}
	policy, err := filepath.Abs("policy.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for line := range strings.Lines(string(read(t, "env.example"))) {
		line = strings.TrimSpace(line)
		if withComments {
			if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") {
				line = rest
			}
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.ContainsAny(value, `"' #`) {
			t.Fatalf("env.example: %q is not NAME=value as docker takes it", line)
		}
		switch {
		case name == "POLICY_FILE":
			value = policy
		case name == "DATABASE_URL":
			value = strings.Replace(value, "/data", dir, 1)
		case value == "" && madeUp[name] != "":
			value = madeUp[name]
		case value == "":
			value = "made-up"
		}
		t.Setenv(name, value)
	}
}

func TestTheExampleEnvironmentIsUnderstood(t *testing.T) {
	for _, name := range os.Environ() {
		name, _, _ = strings.Cut(name, "=")
		if strings.HasPrefix(name, "SLACK_") || strings.HasPrefix(name, "QLIK_") {
			t.Skipf("the environment has a bot's variables: unset %s", name)
		}
	}
	for _, withComments := range []bool{false, true} {
		exampleEnv(t, withComments)
		c, err := config.Read(config.NeedAll)
		if err != nil {
			t.Fatalf("env.example (with what is commented out: %v):\n%v", withComments, err)
		}
		if diff := cmp.Diff([]string{"prod", "staging"}, c.Qlik.Labels()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestTheExamplePolicyLoads(t *testing.T) {
	t.Parallel()
	known := authz.Known{Commands: map[string]authz.Command{}, Tenants: []string{"prod", "staging"}}
	catalogue := commands.New()
	for _, s := range catalogue.Specs() {
		known.Commands[s.Name] = authz.Command{Class: authz.Change}
	}
	for _, l := range catalogue.Later() {
		known.Commands[l.Name] = authz.Command{Class: authz.Change}
	}
	if _, err := authz.Load(read(t, "policy.example.yaml"), known); err != nil {
		t.Errorf("policy.example.yaml:\n%v", err)
	}
}

// What the Dockerfile sets for everybody is part of the manual too.
func TestTheImageSetsOnlyVariablesOfTheBot(t *testing.T) {
	t.Parallel()
	manual := string(read(t, filepath.Join("..", "docs", "configuration.md")))
	_, env, found := strings.Cut(string(read(t, filepath.Join("..", "Dockerfile"))), "\nENV ")
	if !found {
		t.Fatal("the Dockerfile has no ENV")
	}
	env, _, _ = strings.Cut(env, "\nEXPOSE")
	names := []string{}
	for _, pair := range strings.Fields(strings.ReplaceAll(env, "\\", " ")) {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name)
		if !strings.Contains(manual, "`"+name+"`") {
			t.Errorf("the Dockerfile sets %s, which is no variable of the bot", name)
		}
	}
	if !slices.Contains(names, "DATABASE_URL") {
		t.Errorf("the Dockerfile sets %v; without DATABASE_URL the bot would write to a directory that it may not", names)
	}
}

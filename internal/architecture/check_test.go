package architecture

import (
	"strings"
	"testing"
)

// Each rule is broken once here, so that a rule which can no longer fail is
// noticed.
func TestABrokenRuleIsReported(t *testing.T) {
	t.Parallel()
	imports := func(paths ...string) string {
		var b strings.Builder
		b.WriteString("// Package x is documented.\npackage x\n")
		for _, p := range paths {
			b.WriteString("import _ \"" + p + "\"\n")
		}
		return b.String()
	}
	const ours = module + "/internal/"
	for name, tc := range map[string]struct {
		files map[string]string
		want  string // empty: no complaint
	}{
		"authz imports qlik":                {map[string]string{"internal/authz/a.go": imports(ours + "qlik")}, "internal/authz/a.go imports internal/qlik: a verdict is a pure function"},
		"approval imports store":            {map[string]string{"internal/approval/a.go": imports(ours + "store")}, "internal/approval/a.go imports internal/store"},
		"execution imports qlik":            {map[string]string{"internal/execution/a.go": imports(ours + "qlik")}, "internal/execution/a.go imports internal/qlik"},
		"commands imports slackapp":         {map[string]string{"internal/commands/a.go": imports(ours + "slackapp")}, "internal/commands/a.go imports internal/slackapp"},
		"a package below keeps the rule":    {map[string]string{"internal/store/schema/a.go": imports(ours + "bot")}, "internal/store/schema/a.go imports internal/bot"},
		"tests keep it too":                 {map[string]string{"internal/qlik/a.go": imports(), "internal/qlik/a_test.go": "package qlik_test\nimport _ \"" + ours + "authz\"\n"}, "internal/qlik/a_test.go imports internal/authz"},
		"socket imports slackapp":           {map[string]string{"internal/slackapp/socket/a.go": imports(ours + "slackapp")}, "the loop carries envelopes"},
		"socket imports slack-go":           {map[string]string{"internal/slackapp/socket/a.go": imports("github.com/slack-go/slack")}, "slack-go's types stay behind slackapp"},
		"bot imports slack-go":              {map[string]string{"internal/bot/a.go": imports("github.com/slack-go/slack/slackevents")}, "slack-go's types stay behind slackapp"},
		"bot imports an emulator":           {map[string]string{"internal/bot/a.go": imports(ours + "emulator/slack")}, "which is for tests, the playground and the program alone"},
		"bot imports the playground":        {map[string]string{"internal/bot/a.go": imports(ours + "playground")}, "which is for tests, the playground and the program alone"},
		"an emulator imports slack-go":      {map[string]string{"internal/emulator/slack/a.go": imports("github.com/slack-go/slack")}, "slack-go's types stay behind slackapp"},
		"an emulator imports qlik":          {map[string]string{"internal/emulator/qlik/a.go": imports(ours + "qlik")}, "would agree with our mistakes"},
		"an emulator's test imports qlik":   {map[string]string{"internal/emulator/qlik/a.go": imports(), "internal/emulator/qlik/a_test.go": "package qlik_test\nimport _ \"" + ours + "qlik\"\n"}, "would agree with our mistakes"},
		"an emulator's test imports a twin": {map[string]string{"internal/emulator/qlik/a.go": imports(), "internal/emulator/qlik/a_test.go": "package qlik_test\nimport _ \"" + ours + "emulator/slack\"\n"}, "internal/emulator/slack"},
		"an emulator's test uses slack-go":  {map[string]string{"internal/emulator/slack/a.go": imports(), "internal/emulator/slack/a_test.go": "package slack_test\nimport _ \"github.com/slack-go/slack\"\n"}, "slack-go's types"},
		"a driver outside the store":        {map[string]string{"internal/bot/a.go": imports("modernc.org/sqlite")}, "through the store alone"},
		"database/sql outside the store":    {map[string]string{"internal/bot/a.go": imports("database/sql")}, "through the store alone"},
		"goose outside the store":           {map[string]string{"cmd/bot/a.go": imports("github.com/pressly/goose/v3")}, "changed by the store alone"},
		"envconfig outside config":          {map[string]string{"cmd/bot/a.go": imports("github.com/kelseyhightower/envconfig")}, "one reader"},
		"go-cmp in production":              {map[string]string{"internal/bot/a.go": imports("github.com/google/go-cmp/cmp")}, "which only a test may"},
		"testing in production":             {map[string]string{"internal/bot/a.go": imports("testing/synctest")}, "must not know that it is tested"},
		"unsafe":                            {map[string]string{"internal/bot/a.go": imports("unsafe")}, "nothing here needs it"},
		"a room without a line":             {map[string]string{"internal/newroom/a.go": imports()}, "internal/newroom/a.go is in no room"},
		"a drawer":                          {map[string]string{"internal/bot/util/a.go": "// Package util is documented.\npackage util\n"}, "name it after its job"},
		"no package comment":                {map[string]string{"internal/bot/a.go": "package bot\n"}, "internal/bot has no package comment"},
		"two package comments":              {map[string]string{"internal/bot/a.go": imports(), "internal/bot/b.go": imports()}, "has 2 package comments (internal/bot/a.go, internal/bot/b.go)"},
		"a package comment in a test":       {map[string]string{"internal/bot/a.go": imports(), "internal/bot/a_test.go": imports()}, "which readers of the documentation never see"},
		"the environment read elsewhere":    {map[string]string{"internal/bot/a.go": "// Package bot is documented.\npackage bot\nimport o \"os\"\nvar X = o.Getenv(\"X\")\n"}, "calls os.Getenv: the environment is read once"},

		"slackapp may import slack-go":       {map[string]string{"internal/slackapp/cards/a.go": imports("github.com/slack-go/slack")}, ""},
		"slackapp may import its socket":     {map[string]string{"internal/slackapp/a.go": imports(ours + "slackapp/socket")}, ""},
		"a room may import what is below it": {map[string]string{"internal/store/a.go": imports(ours + "store/schema")}, ""},
		"a test may import the playground":   {map[string]string{"internal/bot/a.go": imports(), "internal/bot/a_test.go": "package bot_test\nimport _ \"" + ours + "playground\"\n"}, ""},
		"a kit for tests may import testing": {map[string]string{"internal/store/storetest/a.go": "// Package storetest is documented.\npackage storetest\nimport _ \"testing\"\n"}, ""},
		"the program may import everything":  {map[string]string{"cmd/bot/main.go": imports(ours+"bot", ours+"playground", ours+"store")}, ""},
		"a name like ours is not ours":       {map[string]string{"internal/authz/a.go": imports("github.com/qlik-chatops/botnet/internal/qlik")}, ""},
		"config reads the environment":       {map[string]string{"internal/config/a.go": "// Package config is documented.\npackage config\nimport \"os\"\nvar X = os.Environ()\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var files []source
			for path, text := range tc.files {
				s, err := parse("", path, text)
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, s)
			}
			got := check(files)
			switch {
			case tc.want == "" && len(got) > 0:
				t.Errorf("complaints: %q, want none", got)
			case tc.want != "" && (len(got) != 1 || !strings.Contains(got[0], tc.want)):
				t.Errorf("complaints: %q, want one with %q", got, tc.want)
			}
		})
	}
}

// A line without a reason would be a rule that nobody can argue with.
func TestEveryRuleHasAReason(t *testing.T) {
	t.Parallel()
	for _, r := range rooms {
		if r.why == "" && (len(r.may) != 1 || r.may[0] != anything) {
			t.Errorf("room %s has no reason", r.path)
		}
		for _, to := range r.may {
			if _, ok := roomOf(to); to != anything && !ok {
				t.Errorf("room %s may import %s, which is no room", r.path, to)
			}
		}
	}
	for _, k := range keepers {
		if k.why == "" {
			t.Errorf("the rule for %s has no reason", k.library)
		}
	}
}

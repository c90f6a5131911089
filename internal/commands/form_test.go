package commands_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/commands"
)

func TestAFormGivesWhatTheSameWordsWouldHaveGiven(t *testing.T) {
	t.Parallel()
	c := commands.New()
	for name, tc := range map[string]struct {
		command string
		values  map[string][]string
		line    string
	}{
		"a picked user": {"add-admin", map[string][]string{"person": {"<@U0ANA>"}, "tenant": {"eu-west"}, "from": {""}, "reason": {" she\nsets it up "}},
			"add-admin <@U0ANA> on eu-west because she sets it up"},
		"a typed person": {"add-admin", map[string][]string{"person": {" Ana@example.com\u200b "}, "tenant": {"prod"}, "from": {"prod"}},
			"add-admin ana@example.com from prod on prod"},
		"a subject with spaces": {"add-admin", map[string][]string{"person": {`subject:DOMAIN\a "b" &lt;`}},
			`add-admin subject:"DOMAIN\a ""b"" &amp;lt;"`},
		"the default tenant": {"add-admin", map[string][]string{"person": {"ana@example.com"}}, "add-admin ana@example.com"},
		"many addresses": {"invite", map[string][]string{"emails": {"a@example.com, b@example.com\nc@example.com;"}, "roles": {"A", "With space, B"}, "lang": {"FR"}, "tenant": {"home"}},
			`invite a@example.com b@example.com c@example.com as A, "With space", B lang fr on home`},
		"a request": {"request show", map[string][]string{"id": {"R-7"}}, "request show R-7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, problems := c.FromForm(tc.command, tc.values, defaults())
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			want, err := c.Parse(tc.line, defaults())
			if err != nil {
				t.Fatal(err)
			}
			wants(t, got, want.Command, string(want.Args))
			if got.Tenant != want.Tenant || got.Reason != want.Reason {
				t.Errorf("tenant %q, reason %q; want %q, %q", got.Tenant, got.Reason, want.Tenant, want.Reason)
			}
			if !strings.HasPrefix(got.Text, tc.command+" ") {
				t.Errorf("text %q", got.Text)
			}
		})
	}
}

func TestAFormsProblemsAreToldByField(t *testing.T) {
	t.Parallel()
	c := commands.New()
	noDefault := defaults()
	noDefault.DefaultTenant = ""
	for name, tc := range map[string]struct {
		command string
		values  map[string][]string
		want    map[string]string
	}{
		"nothing":       {"add-admin", nil, map[string]string{"person": "This is needed.", "tenant": "This is needed."}},
		"blanks":        {"invite", map[string][]string{"emails": {" \n"}, "tenant": {"prod"}}, map[string]string{"emails": "This is needed."}},
		"no person":     {"add-admin", map[string][]string{"person": {"ana"}, "tenant": {"prod"}}, map[string]string{"person": "names no person"}},
		"no tenant":     {"add-admin", map[string][]string{"person": {"ana@example.com"}, "tenant": {"nowhere"}}, map[string]string{"tenant": "There is no tenant"}},
		"no source":     {"add-admin", map[string][]string{"person": {"ana@example.com"}, "tenant": {"prod"}, "from": {"nowhere"}}, map[string]string{"from": "There is no tenant"}},
		"bad addresses": {"invite", map[string][]string{"emails": {"a@ b@"}, "tenant": {"prod"}}, map[string]string{"emails": "2 of these"}},
		"bad language":  {"invite", map[string][]string{"emails": {"a@example.com"}, "lang": {"german"}, "tenant": {"prod"}}, map[string]string{"lang": "no language"}},
		"long reason":   {"invite", map[string][]string{"emails": {"a@example.com"}, "tenant": {"prod"}, "reason": {strings.Repeat("x", 1001)}}, map[string]string{"reason": "1000 is the most"}},
		"two at once":   {"add-admin", map[string][]string{"person": {"@ana"}, "tenant": {"nowhere"}}, map[string]string{"person": "names are not unique", "tenant": "There is no tenant"}},
		"another field": {"add-admin", map[string][]string{"person": {"ana@example.com"}, "tenant": {"prod"}, "urgent": {"yes"}}, map[string]string{"": `no field "urgent"`}},
		"no command":    {"user delete", nil, map[string]string{"": "There is no command"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inv, problems := c.FromForm(tc.command, tc.values, noDefault)
			if inv.Command != "" {
				t.Errorf("there is an invocation of %s", inv.Command)
			}
			for field, want := range tc.want {
				if problems[field] == nil || !strings.Contains(problems[field].Error(), want) {
					t.Errorf("field %q: %v, want in it %q", field, problems[field], want)
				}
			}
			if len(problems) != len(tc.want) {
				t.Errorf("problems %v", problems)
			}
		})
	}
}

func TestAFormIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	values := map[string][]string{"person": {" ana@example.com "}}
	if _, problems := commands.New().FromForm("add-admin", values, defaults()); len(problems) > 0 {
		t.Fatal(problems)
	}
	if diff := cmp.Diff(map[string][]string{"person": {" ana@example.com "}}, values); diff != "" {
		t.Error(diff)
	}
}

func TestEveryFieldThatIsMissingIsInTheForm(t *testing.T) {
	t.Parallel()
	c := commands.New()
	for _, s := range c.Specs() {
		_, err := c.Parse(s.Name, commands.Defaults{})
		var missing *commands.MissingError
		if !errors.As(err, &missing) {
			continue
		}
		var required []string
		for _, f := range s.Fields {
			if f.Required {
				required = append(required, f.Name)
			}
		}
		if diff := cmp.Diff(required, missing.Fields); diff != "" {
			t.Errorf("%s: required by the form and missing (-form +missing):\n%s", s.Name, diff)
		}
	}
}

func FuzzValuesSurviveBeingWrittenAndRead(f *testing.F) {
	f.Add("auth0|a", "Steward", "because")
	f.Add(`a "b" “c” 'd' <e> &amp; f`, "on", `it's "so"`)
	f.Add("because", "as", "=x")
	f.Add("-", "--on", "because because")
	f.Add("a:", `"`, "<@U0ANA>")
	f.Add("“”", "a;b", "&lt;")
	c := commands.New()
	f.Fuzz(func(t *testing.T, subject, role, reason string) {
		for command, values := range map[string]map[string][]string{
			"add-admin": {"person": {"subject:" + subject}, "reason": {reason}},
			"invite":    {"emails": {"a@example.com"}, "roles": {role}, "reason": {reason}},
		} {
			inv, problems := c.FromForm(command, values, defaults())
			if len(problems) > 0 {
				continue
			}
			line, err := c.Format(inv)
			if err != nil {
				t.Fatal(err)
			}
			again, err := c.Parse(line, defaults())
			if err != nil {
				t.Fatalf("written as %q: %v", line, err)
			}
			if string(again.Args) != string(inv.Args) || again.Reason != inv.Reason {
				t.Fatalf("written as %q\nwas    %s %q\nis now %s %q", line, inv.Args, inv.Reason, again.Args, again.Reason)
			}
		}
	})
}

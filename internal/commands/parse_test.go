package commands_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/commands"
)

func defaults() commands.Defaults {
	return commands.Defaults{Tenants: []string{"home", "prod", "eu-west"}, DefaultTenant: "prod", SourceTenant: "home"}
}

// wants checks the parsed arguments by their JSON.
func wants(t *testing.T, inv commands.Invocation, command, args string) {
	t.Helper()
	if inv.Command != command {
		t.Fatalf("command %q, want %q", inv.Command, command)
	}
	var got, want any
	if err := json.Unmarshal(inv.Args, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(args), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}

func TestEveryWayOfWritingALineIsUnderstood(t *testing.T) {
	t.Parallel()
	c := commands.New()
	const onProd = `{"person":{"email":"ana@example.com"},"tenant":"prod","from":"home"}`
	const onWest = `{"person":{"email":"ana@example.com"},"tenant":"eu-west","from":"home"}`
	for name, tc := range map[string]struct{ line, command, args, reason string }{
		"plain":                      {"add-admin ana@example.com", "add-admin", onProd, ""},
		"upper case":                 {"ADD-ADMIN Ana@Example.COM ON Prod", "add-admin", onProd, ""},
		"keyword before argument":    {"add-admin on prod ana@example.com", "add-admin", onProd, ""},
		"option":                     {"add-admin ana@example.com --on eu-west", "add-admin", onWest, ""},
		"option with em dash":        {"add-admin ana@example.com —on eu-west", "add-admin", onWest, ""},
		"option with en dash":        {"add-admin ana@example.com –on eu-west", "add-admin", onWest, ""},
		"option with equals":         {"add-admin ana@example.com --on=eu-west", "add-admin", onWest, ""},
		"equals":                     {"add-admin ana@example.com on=eu-west", "add-admin", onWest, ""},
		"equals and space":           {"add-admin ana@example.com on= eu-west", "add-admin", onWest, ""},
		"equals and quotes":          {"add-admin ana@example.com on=“eu-west”", "add-admin", onWest, ""},
		"label with en dash":         {"add-admin ana@example.com on eu–west", "add-admin", onWest, ""},
		"command with hyphen U+2011": {"add\u2011admin ana@example.com", "add-admin", onProd, ""},
		"no-break spaces":            {"add-admin\u00a0ana@example.com\u202fon\u00a0prod", "add-admin", onProd, ""},
		"zero-width and bidi":        {"add-admin \u200bana@\u2060example.com\u202e on \ufeffprod", "add-admin", onProd, ""},
		"new lines and tabs":         {"add-admin\tana@example.com\r\non\nprod", "add-admin", onProd, ""},
		"from and reason": {"add-admin ana@example.com from prod on home because she said so on prod", "add-admin",
			`{"person":{"email":"ana@example.com"},"tenant":"home","from":"prod"}`, "she said so on prod"},
		"reason with quotes":             {`add-admin ana@example.com because it's "on" fire, because`, "add-admin", onProd, `it's "on" fire, because`},
		"reason as option":               {"add-admin ana@example.com --because=it is so", "add-admin", onProd, "it is so"},
		"reason glued to a quote":        {`add-admin ana@example.com because="it's`, "add-admin", onProd, `"it's`},
		"reason in capitals":             {"add-admin ana@example.com BECAUSE of X", "add-admin", onProd, "of X"},
		"entities in the reason":         {"add-admin ana@example.com because a &lt; b &amp;&amp; c &amp;lt; d", "add-admin", onProd, "a < b && c &lt; d"},
		"mention in the reason":          {"add-admin ana@example.com because <@U0BEN|ben> asked", "add-admin", onProd, "<@U0BEN> asked"},
		"quoted because":                 {`add-admin "ana@example.com" "because"`, "", "", ""},
		"mailto":                         {"add-admin <mailto:ana@example.com|ana@example.com>", "add-admin", onProd, ""},
		"mailto believed over its label": {"add-admin <mailto:ana@example.com|boss@example.com>", "add-admin", onProd, ""},
		"mailto without label":           {"add-admin <mailto:ana@example.com>", "add-admin", onProd, ""},
		"quoted mailto":                  {"add-admin “<mailto:ana@example.com|ana@example.com>”", "add-admin", onProd, ""},
		"mention":                        {"add-admin <@U0ANA>", "add-admin", `{"person":{"slack":"U0ANA"},"tenant":"prod","from":"home"}`, ""},
		"mention with a name":            {"add-admin <@W0ANA|ana smith>", "add-admin", `{"person":{"slack":"W0ANA"},"tenant":"prod","from":"home"}`, ""},
		"user ID":                        {"add-admin 507f191e810c19729de860ea", "add-admin", `{"person":{"id":"507f191e810c19729de860ea"},"tenant":"prod","from":"home"}`, ""},
		"subject":                        {"add-admin subject:auth0|a1", "add-admin", `{"person":{"subject":"auth0|a1"},"tenant":"prod","from":"home"}`, ""},
		"subject in quotes":              {`add-admin subject:"DOMAIN\a b"`, "add-admin", `{"person":{"subject":"DOMAIN\\a b"},"tenant":"prod","from":"home"}`, ""},
		"subject and all in quotes":      {"add-admin ‘Subject:it’s on’", "add-admin", `{"person":{"subject":"it’s on"},"tenant":"prod","from":"home"}`, ""},
		"subject with a doubled quote":   {`add-admin subject:"a""b"`, "add-admin", `{"person":{"subject":"a\"b"},"tenant":"prod","from":"home"}`, ""},
		"subject that Slack linked":      {"add-admin subject:<mailto:ana@example.com|ana@example.com>", "add-admin", `{"person":{"subject":"ana@example.com"},"tenant":"prod","from":"home"}`, ""},
		"subject that is a keyword":      {`add-admin "subject:on"`, "add-admin", `{"person":{"subject":"on"},"tenant":"prod","from":"home"}`, ""},
		"several addresses": {"invite a@example.com,b@example.com; c@example.com\nd@example.com , e@example.com", "invite",
			`{"emails":["a@example.com","b@example.com","c@example.com","d@example.com","e@example.com"],"tenant":"prod"}`, ""},
		"linked addresses": {"invite <mailto:a@example.com|a@example.com>,<mailto:b@example.com|b@example.com>;", "invite",
			`{"emails":["a@example.com","b@example.com"],"tenant":"prod"}`, ""},
		"roles and language": {`invite a@example.com as Steward, “Audit Admin” ,"With, comma" lang DE on home`, "invite",
			`{"emails":["a@example.com"],"roles":["Steward","Audit Admin","With, comma"],"lang":"de","tenant":"home"}`, ""},
		"roles glued":                     {"invite as=A,B a@example.com", "invite", `{"emails":["a@example.com"],"roles":["A","B"],"tenant":"prod"}`, ""},
		"a role like a keyword":           {`invite a@example.com as "on", 'because'`, "invite", `{"emails":["a@example.com"],"roles":["on","because"],"tenant":"prod"}`, ""},
		"an apostrophe curled by a phone": {"invite o’brien@example.com", "invite", `{"emails":["o'brien@example.com"],"tenant":"prod"}`, ""},
		"nothing":                         {"", "help", `{}`, ""},
		"blank":                           {" \u00a0\u200b\n", "help", `{}`, ""},
		"help for two words":              {"help Request Show", "help", `{"command":"request show"}`, ""},
		"request":                         {"request show R-7", "request show", `{"id":"R-7"}`, ""},
		"request with a smart dash":       {"request approve R–7", "request approve", `{"id":"R-7"}`, ""},
		"request deny":                    {"request  deny R7", "request deny", `{"id":"R7"}`, ""},
		"request cancel":                  {"request\u00a0cancel R7", "request cancel", `{"id":"R7"}`, ""},
		"requests":                        {"requests", "requests", `{}`, ""},
		"tenants":                         {"tenants because I forgot them", "tenants", `{}`, "I forgot them"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inv, err := c.Parse(tc.line, defaults())
			if tc.command == "" {
				var usage *commands.UsageError
				if !errors.As(err, &usage) {
					t.Fatalf("error %v, want a usage error", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wants(t, inv, tc.command, tc.args)
			if inv.Reason != tc.reason {
				t.Errorf("reason %q, want %q", inv.Reason, tc.reason)
			}
		})
	}
}

func TestALineThatIsNotUnderstoodIsAnsweredWithASentence(t *testing.T) {
	t.Parallel()
	c := commands.New()
	for line, want := range map[string]string{
		"add-admni ana@example.com":                               `There is no command "add-admni". Did you mean "add-admin"?`,
		"add admin ana@example.com":                               `Did you mean "add-admin"?`,
		"nonsense":                                                `There is no command "nonsense". "help" lists the commands.`,
		"request":                                                 `After "request" comes one of: approve, cancel, deny, review, show.`,
		"request shwo R1":                                         `Did you mean "request show"?`,
		"on prod add-admin":                                       `A command comes first; "on" stands after it.`,
		"because I say so":                                        `A command comes first.`,
		`"add-admin" ana@example.com`:                             `"add-admin" is none`,
		"add-admin ana@example.com on prod on prod":               `"on" stands there twice.`,
		"add-admin ana@example.com --on prod on=home":             `"on" stands there twice.`,
		"add-admin ana@example.com as TenantAdmin":                `"as" does not apply to add-admin.`,
		"invite a@example.com from home":                          `"from" does not apply to invite.`,
		"invite a@example.com for 4h":                             `"for" does not apply to invite.`,
		"tenants on prod":                                         `"on" does not apply to tenants.`,
		"tenants urgent":                                          `"urgent" does not apply to tenants.`,
		"tenants all":                                             `tenants takes no arguments, and there is "all".`,
		"add-admin ana@example.com on":                            `After "on" comes a tenant.`,
		"add-admin on from home ana@example.com":                  `After "on" comes a tenant.`,
		"add-admin ana@example.com on nowhere":                    `There is no tenant "nowhere". The tenants are: home, prod, eu-west.`,
		"add-admin ana@example.com on prdo":                       `Did you mean prod?`,
		"add-admin ana@example.com --force":                       `There is no option "--force".`,
		"add-admin ana@example.com —force":                        `There is no option "—force".`,
		"add-admin ana@example.com because":                       `There is no reason after "because".`,
		"add-admin ana@example.com because \u200b ":               `There is no reason after "because".`,
		`add-admin "ana@example.com`:                              `A quote is opened and never closed.`,
		`add-admin "ana"@example.com`:                             `A closing quote must be followed by a space.`,
		"add-admin ana@example.com ben@example.com":               `add-admin takes one person, and there are 2 words.`,
		"add-admin ana":                                           `"ana" names no person in a way that is certain.`,
		"add-admin @ana":                                          `Slack sent the name "@ana" instead of a mention`,
		"add-admin group:ops":                                     `is a group`,
		"add-admin subject:":                                      `the subject is missing`,
		"add-admin &lt;@U0ANA&gt;":                                `names no person`,
		"add-admin <!subteam^S0OPS|@ops>":                         `names no person`,
		"add-admin <#C0GENERAL|general>":                          `names no person`,
		"add-admin ana@exаmple.com":                               `a letter outside a to z that can look like another one`,
		"invite a@example.com as":                                 `After "as" comes a role.`,
		"invite a@example.com as A,":                              `a role is missing`,
		"invite a@example.com as A,,B":                            `a role is missing`,
		"invite a@example.com as , B":                             `a role is missing`,
		"invite a@example.com as A, on prod":                      `a role is missing`,
		`invite a@example.com as ""`:                              `a role is missing`,
		"invite a@example.com lang deutsch":                       `"deutsch" is no language.`,
		"invite a@example.com <@U0BEN>":                           `a Slack mention`,
		"invite Ana &lt;<mailto:a@example.com|a@example.com>&gt;": `2 of these are no addresses that can be invited`,
		"request show":                                            "",
		"request show R7 R8":                                      `takes one request, and there are 2 words.`,
		"request show ../R7":                                      `is not the ID of a request`,
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			_, err := c.Parse(line, defaults())
			var usage *commands.UsageError
			if want == "" {
				var missing *commands.MissingError
				if !errors.As(err, &missing) {
					t.Fatalf("error %v, want that something is missing", err)
				}
				return
			}
			if !errors.As(err, &usage) {
				t.Fatalf("error %v, want a usage error", err)
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("it says\n%s\nwant in it\n%s", err, want)
			}
		})
	}
}

func TestWhatIsNotBuiltIsRefusedAndNeverIgnored(t *testing.T) {
	t.Parallel()
	c := commands.New()
	lines := map[string]string{
		"add-admin ana@example.com for 4h":           "Temporary rights",
		"add-admin ana@example.com --for=2d on prod": "Temporary rights",
		"add-admin ana@example.com urgent because x": "not built yet",
		"invite a@example.com urgent because x":      "not built yet",
		"user delete ana@example.com":                "user delete is not built yet",
		"invites":                                    "invites is not built yet",
		"invites resend ana@example.com":             "invites resend is not built yet",
		"tenant set auto-create-groups on":           "tenant set is not built yet",
	}
	for _, l := range c.Later() {
		lines[l.Name+" whatever"] = l.Name + " is not built yet"
	}
	for line, want := range lines {
		_, err := c.Parse(line, defaults())
		var later *commands.NotBuiltError
		if !errors.As(err, &later) {
			t.Errorf("%s: error %v, want that it is not built", line, err)
			continue
		}
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Nothing was changed.") {
			t.Errorf("%s: it says %q", line, err)
		}
	}
	if _, err := c.Parse("add-admin ana@example.com for ever", defaults()); err == nil || !strings.Contains(err.Error(), "a duration such as") {
		t.Errorf("a duration that is none: %v", err)
	}
}

func TestEveryCommandOfTheLanguageIsKnown(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	c := commands.New()
	for _, s := range c.Specs() {
		known[s.Name] = true
	}
	for _, l := range c.Later() {
		if known[l.Name] {
			t.Errorf("%s is built and not built", l.Name)
		}
		known[l.Name] = true
	}
	for _, name := range strings.Split(`add-admin remove-admin admins invite invites
invites resend|invites cancel|invites activate|users|user show|user create|user enable|user disable|user delete
content list|content owner|offboard|roles|role grant|role revoke|licence|entitlement show|entitlement set|entitlement remove
group list|group create|group show|group delete|group add|group remove
space list|space create|space show|space delete|space share|space unshare|space owner
tenants|tenant show|tenant set|tenant plan|tenant apply
requests|request show|request approve|request deny|request cancel|request review|grants|grant revoke|grant extend
audit|can|help|pause|resume`, "\n") {
		sep := "|"
		if !strings.Contains(name, sep) {
			sep = " "
		}
		for _, n := range strings.Split(name, sep) {
			if !known[n] {
				t.Errorf("%q is not known", n)
			}
			delete(known, n)
		}
	}
	if len(known) > 0 {
		t.Errorf("not of the language: %v", known)
	}
}

func TestAMissingArgumentAsksForAFormThatKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	c := commands.New()
	noDefault := defaults()
	noDefault.DefaultTenant = ""
	for line, want := range map[string]*commands.MissingError{
		"add-admin": {Command: "add-admin", Fields: []string{"person", "tenant"}, Given: map[string][]string{"from": {}}},
		"add-admin from home because of it": {Command: "add-admin", Fields: []string{"person", "tenant"},
			Given: map[string][]string{"from": {"home"}, "reason": {"of it"}}},
		"add-admin <@U0ANA>": {Command: "add-admin", Fields: []string{"tenant"}, Given: map[string][]string{"person": {"<@U0ANA>"}}},
		"invite on prod as A, B lang fr": {Command: "invite", Fields: []string{"emails"},
			Given: map[string][]string{"tenant": {"prod"}, "roles": {"A, B"}, "lang": {"fr"}}},
		"invite a@example.com b@example.com": {Command: "invite", Fields: []string{"tenant"},
			Given: map[string][]string{"emails": {"a@example.com\nb@example.com"}}},
		"request approve": {Command: "request approve", Fields: []string{"id"}, Given: map[string][]string{}},
	} {
		delete(want.Given, "from")
		if line != "add-admin" && strings.Contains(line, "from home") {
			want.Given["from"] = []string{"home"}
		}
		_, err := c.Parse(line, noDefault)
		var missing *commands.MissingError
		if !errors.As(err, &missing) {
			t.Errorf("%s: error %v, want that something is missing", line, err)
			continue
		}
		if diff := cmp.Diff(want, missing); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}

func TestAddressesAreCheckedStrictly(t *testing.T) {
	t.Parallel()
	c := commands.New()
	long := strings.Repeat("a", 65)
	bad := []string{
		"ana", "@example.com", "ana@", "ana@@example.com", "a@b@example.com", "ana@example", "ana@.com", "ana@example..com",
		"ana@-example.com", "ana@example-.com", "ana@example.c", "ana@127.0.0.1", "ana@[127.0.0.1]", ".ana@example.com",
		"ana.@example.com", "an..a@example.com", "ana(x)@example.com", `a\na@example.com`, "ana@exam_ple.com",
		"anä@example.com", "ana@exаmple.com", "ana＠example.com", "ana@example。com", "аna@example.com", "\u212aay@example.com",
		"ana@example.com?subject=x", long + "@example.com", "ana@" + long + ".com", "ana@" + strings.Repeat("abcdefg.", 32) + "com",
		"mailto:ana@example.com", "ana\ufffd@example.com",
	}
	for _, b := range bad {
		_, err := c.Parse("invite "+b, defaults())
		var usage *commands.UsageError
		if !errors.As(err, &usage) || usage.Field != commands.FieldEmails {
			t.Errorf("%q: error %v, want that it is refused", b, err)
		}
	}
	for _, good := range []string{"ana@example.com", "ana+x@mail.example.com", "o'brien@example.com", "a.b-c_d@xn--bcher-kva.example", "1@2.example"} {
		if _, err := c.Parse("invite "+good, defaults()); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestAllBadAddressesAreNamedAtOnceUpToALimit(t *testing.T) {
	t.Parallel()
	c := commands.New()
	_, err := c.Parse("invite a@example.com b@ c@ d@example.com", defaults())
	if err == nil || !strings.Contains(err.Error(), `2 of these are no addresses`) || !strings.Contains(err.Error(), `"b@"`) || !strings.Contains(err.Error(), `"c@"`) || !strings.Contains(err.Error(), "Nobody was invited.") {
		t.Errorf("it says %v", err)
	}
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf("x%d@", i))
	}
	_, err = c.Parse("invite "+strings.Join(many, " "), defaults())
	if err == nil || !strings.Contains(err.Error(), "and 30 more") || len(err.Error()) > 2000 {
		t.Errorf("it says %v", err)
	}
}

func TestMoreThanFiveHundredAddressesAreTooManyToType(t *testing.T) {
	t.Parallel()
	c := commands.New()
	var many []string
	for i := range 501 {
		many = append(many, fmt.Sprintf("<mailto:person%d@example.com|person%d@example.com>", i, i))
	}
	if _, err := c.Parse("invite "+strings.Join(many[:500], "\n"), defaults()); err != nil {
		t.Errorf("500: %v", err)
	}
	_, err := c.Parse("invite "+strings.Join(many, "\n"), defaults())
	var usage *commands.UsageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "501 addresses are too many") || !strings.Contains(err.Error(), "CSV") {
		t.Errorf("501: %v", err)
	}
}

func TestTheTextOfAnInvocationIsReadable(t *testing.T) {
	t.Parallel()
	inv, err := commands.New().Parse("add-admin  <mailto:ana@example.com|boss@example.com>\non prod because a &lt; b\u202e", defaults())
	if err != nil {
		t.Fatal(err)
	}
	if want := "add-admin ana@example.com on prod because a < b"; inv.Text != want {
		t.Errorf("text %q, want %q", inv.Text, want)
	}
}

func TestWhatIsTooLongIsRefused(t *testing.T) {
	t.Parallel()
	c := commands.New()
	for _, line := range []string{
		"add-admin ana@example.com because " + strings.Repeat("x", 1001),
		"add-admin subject:" + strings.Repeat("x", 600),
		"invite " + strings.Repeat("x", 200<<10),
	} {
		var usage *commands.UsageError
		if _, err := c.Parse(line, defaults()); !errors.As(err, &usage) {
			t.Errorf("%.20s…: %v", line, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"", "help add-admin", "add-admin ana@example.com on prod because it's so", "add-admin <@U0ANA|x> from=home --on “prod”",
		`add-admin subject:"a ""b"" 'c' <d> &amp;"`, "invite a@example.com,<mailto:b@example.com|x>; as A, “B C” ,D lang fr",
		"request show R-1 because &lt;@U0BEN&gt;", "add-admin ‘subject:it’s’", "add-admin \"\" on \"\"", "invite a@example.com as \"x,\"\"y\"",
		"add-admin subject:“because” because because", "add-admin -- — on", "\xff\xfe<mailto:|>", "user delete x", "add-admin subject:\u00ad\u2028x",
		"add-admin subject:http://x.example/?a=b", "add-admin subject:<http://x.example|x.example>:", "help \"on\" -",
	} {
		f.Add(line)
	}
	c := commands.New()
	f.Fuzz(func(t *testing.T, text string) {
		inv, err := c.Parse(text, defaults())
		if err != nil {
			var usage *commands.UsageError
			var missing *commands.MissingError
			var later *commands.NotBuiltError
			if !errors.As(err, &usage) && !errors.As(err, &missing) && !errors.As(err, &later) {
				t.Fatalf("%q: an error of another kind: %v", text, err)
			}
			if strings.ContainsAny(err.Error(), "\x00\n\u202e") {
				t.Fatalf("%q: the error is not inert: %q", text, err)
			}
			return
		}
		line, err := c.Format(inv)
		if err != nil {
			t.Fatalf("%q: format: %v", text, err)
		}
		again, err := c.Parse(line, defaults())
		if err != nil {
			t.Fatalf("%q: formatted as %q: %v", text, line, err)
		}
		if again.Command != inv.Command || string(again.Args) != string(inv.Args) || again.Tenant != inv.Tenant || again.Reason != inv.Reason {
			t.Fatalf("%q: formatted as %q\nwas   %s %s %q %q\nis now %s %s %q %q", text, line,
				inv.Command, inv.Args, inv.Tenant, inv.Reason, again.Command, again.Args, again.Tenant, again.Reason)
		}
		if change, ok := inv.Change(); ok {
			if _, err := c.Decode(inv.Command, inv.Args); err != nil {
				t.Fatalf("%q: decode %s: %v", text, change.Spec().Name, err)
			}
		}
	})
}

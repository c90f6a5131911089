package authz_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/authz"
)

// whole uses every part of the policy language, built or not.
const whole = `version: 1
operators: {users: [U0ANA]}
groups:
  ops:       {usergroups: [S0OPS]}
  approvers: {users: [U0BEN, U0CLEO, U0DAN]}
rules:
  - name: everyone-may-look
    effect: allow
    who: [anyone]
    commands: ["@read"]
    tenants: ["*"]
  - name: ops-may-change
    effect: allow
    who: [ops]
    commands: ["@change", "@people"]
    tenants: [prod, staging]
  - name: prod-admin-power-needs-two
    effect: require
    commands: ["@gives-admin", "@takes-admin"]
    tenants: [prod]
    approvals: {count: 2, from: [approvers], expires_in: 4h, execute_within: 15m, escalate: {after: 1h, to: [ops]}}
    reason: required
    max_duration: 8h
    channels: [C0APPROVE]
  - name: only-our-domain
    effect: deny
    commands: ["@gives-admin", invite, "user create"]
    when: '!target.email.endsWith("@example.com")'
    message: Only example.com addresses.
  - name: on-call-may-bypass
    effect: bypass
    who: [ops]
    commands: ["user disable"]
    tenants: [prod]
    review: {from: [approvers], within: 24h}
`

// built is whole without what is not built yet.
func built() string {
	s := strings.NewReplacer(
		", escalate: {after: 1h, to: [ops]}", "",
		"    max_duration: 8h\n", "",
		"    when: '!target.email.endsWith(\"@example.com\")'\n", "",
	).Replace(whole)
	s, _, _ = strings.Cut(s, "  - name: on-call-may-bypass")
	return s
}

func TestEveryPartThatIsNotBuiltIsRefusedByNameWithItsLine(t *testing.T) {
	t.Parallel()
	want := `line 21: rule "prod-admin-power-needs-two": "escalate" is not built yet; the policy is refused because reading it without "escalate" would change what it means
line 23: rule "prod-admin-power-needs-two": "max_duration" is not built yet; the policy is refused because reading it without "max_duration" would change what it means
line 28: rule "only-our-domain": "when" is not built yet; the policy is refused because reading it without "when" would change what it means
line 31: rule "on-call-may-bypass": effect "bypass" is not built yet; the policy is refused because reading it without this rule would change what it means
line 35: rule "on-call-may-bypass": "review" is not built yet; the policy is refused because reading it without "review" would change what it means`
	if diff := cmp.Diff(want, problems(t, whole).Error()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsBuiltOfTheWholeLanguageLoads(t *testing.T) {
	t.Parallel()
	p := load(t, built())
	if diff := cmp.Diff(authz.Set{Users: []string{"U0ANA"}}, p.Operators()); diff != "" {
		t.Error("operators", diff)
	}
	if diff := cmp.Diff([]string{"S0OPS"}, p.UserGroups()); diff != "" {
		t.Error("user groups", diff)
	}
	sum := sha256.Sum256([]byte(built()))
	if want := hex.EncodeToString(sum[:]); p.Digest() != want {
		t.Errorf("digest %s, want that of the file, %s", p.Digest(), want)
	}
}

func TestAPolicyIsRefusedWhen(t *testing.T) {
	t.Parallel()
	head := "version: 1\ngroups: {ops: {users: [U0ANA, U0BEN]}, sre: {usergroups: [S0SRE]}}\nrules:\n"
	ok := "- {name: look, effect: allow, who: [anyone], commands: [\"@read\"], tenants: [\"*\"]}\n"
	allow := func(selectors string) string { return head + "- {name: a, effect: allow, " + selectors + "}" }
	require := func(demands string) string { return head + "- {name: r, effect: require, " + demands + "}" }
	approvals := func(keys string) string { return require("approvals: {" + keys + "}") }
	deny := func(keys string) string { return head + "- {name: d, effect: deny, " + keys + "}" }

	for _, c := range []struct {
		name, file string
		want       []string
	}{
		// The document.
		{"it is empty", "", []string{`line 1: the file is empty; a policy begins with "version: 1"`}},
		{"it holds comments only", "# later\n", []string{`line 1: the file is empty; a policy begins with "version: 1"`}},
		{"it holds null", "---\n", []string{`line 2: the file is empty; a policy begins with "version: 1"`}},
		{"it is not UTF-8", "version: 1\nrules: \xff\n", []string{`line 2: the file is not UTF-8 text`}},
		{"it is UTF-16", "\xff\xfev\x00e\x00r\x00", []string{`line 1: the file is not UTF-8 text`}},
		{"it is not YAML", "version: 1\nrules: [\n", []string{`line 2: this is not YAML: did not find expected node content`}},
		{"it is a list", "- version: 1\n", []string{`line 1: a policy must be a mapping (key: value)`}},
		{"a second document follows", head + ok + "---\nversion: 1\n", []string{`line 5: a second YAML document begins here; a policy is one document`}},
		{"something that is not YAML follows", head + ok + "---\n[\n", []string{`line 6: this is not YAML: did not find expected node content`}},
		{"it is larger than a megabyte", "#" + strings.Repeat("x", 1<<20), []string{`line 1: the file has 1048577 bytes; a policy may have 1048576 at most`}},
		{"it has anchors and aliases", "version: 1\nrules:\n- &a {name: look, effect: allow, who: &w [anyone], commands: [\"@read\"], tenants: [\"*\"]}\n- *a\n", []string{
			`line 3: rule "look": anchors and aliases (& and *) are not read in a policy; write it out, or in quotes if text was meant`,
			`line 3: rule "look": anchors and aliases (& and *) are not read in a policy; write it out, or in quotes if text was meant`,
			`line 4: rule "#2": anchors and aliases (& and *) are not read in a policy; write it out, or in quotes if text was meant`,
		}},
		{"a star is not quoted", allow("who: [anyone], commands: [\"@read\"], tenants: [*prod]"), []string{
			`line 1: this is not YAML: unknown anchor 'prod' referenced`}},
		{"it has merge keys", head + "- {<<: {effect: allow}, name: look}", []string{
			`line 4: rule "look": merge keys (<<) are not read in a policy; write the keys out`,
			`line 4: rule "look": "effect" is missing; write allow, require or deny`}},
		{"it has tags", "version: !!int 1\nrules:\n" + ok, []string{`line 1: tags such as "!!int" are not read in a policy`}},
		{"it is nested without end", "version: 1\nrules: " + strings.Repeat("[", 500) + strings.Repeat("]", 500), []string{
			`line 2: rule "#1": this is nested too deeply for a policy`,
			`line 2: rule "#1": a rule must be a mapping (key: value)`}},
		{"a key is not text", "version: 1\n[a]: b\nrules:\n" + ok, []string{`line 2: a key must be text`}},

		// Top level.
		{"the version is missing", "rules:\n" + ok, []string{`line 1: "version" is missing; write "version: 1"`}},
		{"the version is another one", "version: 2\nrules:\n" + ok, []string{`line 1: "version" must be the number 1, the only version there is`}},
		{"the version is text", "version: \"1\"\nrules:\n" + ok, []string{`line 1: "version" must be the number 1, the only version there is`}},
		{"rules are missing", "version: 1\n", []string{`line 1: "rules" is missing, and a policy without rules allows nothing; to refuse everything on purpose write a deny rule`}},
		{"rules are empty", "version: 1\nrules: []\n", []string{`line 2: "rules" is empty, and a policy without rules allows nothing; to refuse everything on purpose write a deny rule`}},
		{"a key is unknown", "version: 1\nrule: []\nrules:\n" + ok, []string{`line 2: "rule" is not a key of a policy. Did you mean "rules"?`}},
		{"a key stands twice", "version: 1\nversion: 1\nrules:\n" + ok, []string{`line 2: "version" stands here a second time; the first is in line 1`}},
		{"rules are a mapping", "version: 1\nrules: {name: look}\n", []string{`line 2: "rules" must be a list of rules`}},

		// People.
		{"the operators are a list", "version: 1\noperators: [U0ANA]\nrules:\n" + ok, []string{`line 2: "operators" must be a mapping (key: value)`}},
		{"a group names nobody", "version: 1\ngroups: {ops: {}}\nrules:\n" + ok, []string{`line 2: group "ops" names nobody; give it "users" or "usergroups"`}},
		{"a group has an empty list", "version: 1\ngroups: {ops: {users: []}}\nrules:\n" + ok, []string{`line 2: "users" of group "ops" is an empty list`}},
		{"a group is defined twice", "version: 1\ngroups:\n  ops: {users: [U0ANA]}\n  ops: {users: [U0BEN]}\nrules:\n" + ok, []string{`line 4: "ops" stands here a second time; the first is in line 3`}},
		{"a group is called anyone", "version: 1\ngroups: {anyone: {users: [U0ANA]}}\nrules:\n" + ok, []string{`line 2: a group cannot be called "anyone", which means every full member`}},
		{"a group's name is no name", "version: 1\ngroups: {\"@ops\": {users: [U0ANA]}}\nrules:\n" + ok, []string{`line 2: "@ops" is no name for a group; use letters, digits, "-" and "_", beginning with a letter`}},
		{"a user is an e-mail address", "version: 1\ngroups: {ops: {users: [ana@example.com]}}\nrules:\n" + ok, []string{
			`line 2: "ana@example.com" in group "ops" is not a Slack user ID (U… or W…); names and e-mail addresses are not accepted because they can pass to somebody else`}},
		{"a user is a mention", "version: 1\ngroups: {ops: {users: [<@U0ANA>]}}\nrules:\n" + ok, []string{
			`line 2: "<@U0ANA>" in group "ops" is not a Slack user ID (U… or W…); names and e-mail addresses are not accepted because they can pass to somebody else`}},
		{"a user group stands among the users", "version: 1\ngroups: {ops: {users: [S0OPS]}}\nrules:\n" + ok, []string{
			`line 2: "S0OPS" in group "ops" is not a Slack user ID (U… or W…); it is a user group ID and belongs under "usergroups"`}},
		{"a user group is a handle", "version: 1\noperators: {usergroups: [ops]}\nrules:\n" + ok, []string{
			`line 2: "ops" in "operators" is not a Slack user group ID (S…); names and e-mail addresses are not accepted because they can pass to somebody else`}},
		{"a user stands twice", "version: 1\ngroups: {ops: {users: [U0ANA, U0ANA]}}\nrules:\n" + ok, []string{`line 2: "U0ANA" stands twice in "users" of group "ops"`}},
		{"a group has another key", "version: 1\ngroups: {ops: {user: [U0ANA]}}\nrules:\n" + ok, []string{
			`line 2: "user" is not a key of group "ops". Did you mean "users"?`,
			`line 2: group "ops" names nobody; give it "users" or "usergroups"`}},

		// Rules.
		{"a rule has no name", head + "- {effect: deny}", []string{`line 4: rule "#1": "name" is missing; refusals and records call a rule by its name`}},
		{"a rule's name is blank", head + "- {name: ' ', effect: deny}", []string{`line 4: rule " ": "name" is empty`}},
		{"a rule's name hides characters", head + "- {name: \"a\\u202eb\", effect: deny}", []string{"line 4: rule \"a\\u202eb\": \"name\" has characters that cannot be seen, or more than one line: \"a\\u202eb\""}},
		{"a rule's name is a number", head + "- {name: 7, effect: deny}", []string{`line 4: rule "#1": "name" must be text; write "7" in quotes`}},
		{"two rules have one name", head + ok + ok, []string{`line 5: rule "look": there is a rule with this name already, in line 4`}},
		{"a rule has no effect", head + "- {name: a, who: [ops]}", []string{`line 4: rule "a": "effect" is missing; write allow, require or deny`}},
		{"an effect is unknown", head + "- {name: a, effect: Allow}", []string{`line 4: rule "a": there is no effect "Allow"; write allow, require or deny. Did you mean "allow"?`}},
		{"a rule has an unknown key", deny("tenant: [prod]"), []string{`line 4: rule "d": "tenant" is not a key of a rule. Did you mean "tenants"?`}},
		{"a rule has a key twice", deny("tenants: [prod], tenants: [staging]"), []string{`line 4: rule "d": "tenants" stands here a second time; the first is in line 4`}},
		{"a rule is text", head + "- allow everything", []string{`line 4: rule "#1": a rule must be a mapping (key: value)`}},

		// Selectors.
		{"an allow rule leaves its selectors out", head + "- {name: a, effect: allow}", []string{
			`line 4: rule "a": "who" is missing, and an allow rule must say it; [anyone] means every full member`,
			`line 4: rule "a": "commands" is missing, and an allow rule must say it; ["@read"] means every read that names no people, ["*"] every command`,
			`line 4: rule "a": "tenants" is missing, and an allow rule must say it; ["*"] means every tenant`}},
		{"a selector is an empty list", deny("who: []"), []string{`line 4: rule "d": "who" is an empty list`}},
		{"a selector is null", deny("who: "), []string{`line 4: rule "d": "who" must be a list, such as [ops]`}},
		{"a selector is one word", deny("who: ops"), []string{`line 4: rule "d": "who" must be a list, such as [ops]`}},
		{"a group is unknown", deny("who: [opps]"), []string{`line 4: rule "d": there is no group "opps". Did you mean "ops"?`}},
		{"who names a person", deny("who: [U0ANA]"), []string{`line 4: rule "d": "who" takes the names of groups; put U0ANA into one under "groups"`}},
		{"a command is unknown", deny("commands: [space crate]"), []string{`line 4: rule "d": there is no command "space crate". Did you mean "space create"?`}},
		{"a command is like no other", deny("commands: [make-coffee]"), []string{`line 4: rule "d": there is no command "make-coffee".`}},
		{"a command is in capitals", deny("commands: [Invite]"), []string{`line 4: rule "d": there is no command "Invite". Did you mean "invite"?`}},
		{"a command is not governed by rules", deny("commands: [request approve]"), []string{`line 4: rule "d": the command "request approve" is not decided by rules, so a rule about it would do nothing`}},
		{"a class is unknown", deny(`commands: ["@reads"]`), []string{`line 4: rule "d": there is no class "@reads"; there are @read, @people, @change, @gives-admin and @takes-admin. Did you mean "@read"?`}},
		{"a pattern fits nothing", deny(`commands: ["spaces *"]`), []string{`line 4: rule "d": the pattern "spaces *" fits no command`}},
		{"a tenant is unknown", deny("tenants: [pord]"), []string{`line 4: rule "d": there is no tenant "pord". Did you mean "prod"?`}},
		{"a tenant is a pattern", deny(`tenants: ["prod*"]`), []string{`line 4: rule "d": there is no tenant "prod*". Did you mean "prod"?`}},
		{"a word stands twice", deny("tenants: [prod, prod]"), []string{`line 4: rule "d": "prod" stands twice in "tenants"`}},
		{"a word is a truth value", deny("tenants: [true]"), []string{`line 4: rule "d": an entry of "tenants" must be text; write "true" in quotes`}},

		// Keys of one effect in a rule of another.
		{"an allow rule asks for approvals", allow(`who: [ops], commands: ["@change"], tenants: [prod], approvals: {count: 1, from: [ops]}`),
			[]string{`line 4: rule "a": "approvals" belongs to require rules and means nothing in one that says allow`}},
		{"an allow rule names channels", allow(`who: [ops], commands: ["@change"], tenants: [prod], channels: [C0OPS]`),
			[]string{`line 4: rule "a": "channels" belongs to require rules and means nothing in one that says allow`}},
		{"a deny rule asks for a reason", deny("reason: required"), []string{`line 4: rule "d": "reason" belongs to require rules and means nothing in one that says deny`}},
		{"a require rule has a message", require("reason: required, message: No."), []string{`line 4: rule "r": "message" belongs to deny rules and means nothing in one that says require`}},

		// Demands.
		{"a require rule requires nothing", require("tenants: [prod]"), []string{`line 4: rule "r": the rule requires nothing; give it "approvals", "reason" or "channels"`}},
		{"a channel is a name", require(`channels: ["#approvals"]`), []string{`line 4: rule "r": "#approvals" in "channels" is not a Slack channel ID (C… or G…); names are not accepted because they can pass to another channel`}},
		{"a channel is a direct message", require(`channels: [D0ANA]`), []string{`line 4: rule "r": "D0ANA" in "channels" is not a Slack channel ID (C… or G…); names are not accepted because they can pass to another channel`}},
		{"a reason is empty", require(`reason: ""`), []string{`line 4: rule "r": "reason" is empty`}},
		{"a reason is a truth value", require(`reason: true`), []string{`line 4: rule "r": "reason" must be text; write "true" in quotes`}},
		{"a reason is nearly required", require(`reason: requierd`), []string{`line 4: rule "r": "reason" is "requierd", which would be a regular expression; write "required", or put it in parentheses if that is what a reason must contain`}},
		{"a reason is no regular expression", require(`reason: "INC-(\\d+"`), []string{"line 4: rule \"r\": \"reason\" is neither \"required\" nor a regular expression: error parsing regexp: missing closing ): `INC-(\\d+`"}},
		{"a reason looks around", require(`reason: "(?=INC)"`), []string{"line 4: rule \"r\": \"reason\" is neither \"required\" nor a regular expression: error parsing regexp: invalid or unsupported Perl syntax: `(?=`"}},
		{"approvals say neither how many nor whose", approvals(""), []string{
			`line 4: rule "r": "count" is missing; say how many approvals are needed`,
			`line 4: rule "r": "from" is missing; say whose approvals count`}},
		{"no approvals are demanded", approvals("count: 0, from: [ops]"), []string{`line 4: rule "r": "count" must be a whole number, at least 1`}},
		{"fewer than none are demanded", approvals("count: -1, from: [ops]"), []string{`line 4: rule "r": "count" must be a whole number, at least 1`}},
		{"half an approval is demanded", approvals("count: 1.5, from: [ops]"), []string{`line 4: rule "r": "count" must be a whole number, at least 1`}},
		{"the count is text", approvals(`count: "2", from: [ops]`), []string{`line 4: rule "r": "count" must be a whole number, at least 1`}},
		{"anyone may approve", approvals("count: 1, from: [anyone]"), []string{`line 4: rule "r": "from" must name groups; "anyone" cannot be asked for an approval`}},
		{"the approvers are unknown", approvals("count: 1, from: [op]"), []string{`line 4: rule "r": there is no group "op". Did you mean "ops"?`}},
		{"the quorum is larger than from", approvals("count: 3, from: [ops]"), []string{`line 4: rule "r": 3 approvals are demanded and group ops has 2 people; nobody could ever get this approved`}},
		{"approvers could not all be read, which is not reported a second time as a quorum", "version: 1\ngroups: {ops: {users: [U0ANA, ben]}}\nrules:\n- {name: r, effect: require, approvals: {count: 2, from: [ops]}}", []string{
			`line 2: "ben" in group "ops" is not a Slack user ID (U… or W…); names and e-mail addresses are not accepted because they can pass to somebody else`}},
		{"approvals expire at once", approvals("count: 1, from: [ops], expires_in: 0h"), []string{`line 4: rule "r": "expires_in" must be a duration longer than zero, such as 30m, 4h, 2d or 1w`}},
		{"approvals expire in the past", approvals("count: 1, from: [ops], execute_within: -4h"), []string{`line 4: rule "r": "execute_within" must be a duration longer than zero, such as 30m, 4h, 2d or 1w`}},
		{"a duration is a number", approvals("count: 1, from: [ops], expires_in: 30"), []string{`line 4: rule "r": "expires_in" must be a duration longer than zero, such as 30m, 4h, 2d or 1w`}},
		{"a duration is a sum", approvals("count: 1, from: [ops], expires_in: 1h30m"), []string{`line 4: rule "r": "expires_in" must be a duration longer than zero, such as 30m, 4h, 2d or 1w`}},
		{"a duration is a list", approvals("count: 1, from: [ops], expires_in: [4h]"), []string{`line 4: rule "r": "expires_in" must be a duration longer than zero, such as 30m, 4h, 2d or 1w`}},
		{"a duration is longer than a year", approvals("count: 1, from: [ops], expires_in: 53w"), []string{`line 4: rule "r": "expires_in" must not be longer than 365d`}},
		{"late members are yes", approvals("count: 1, from: [ops], late_members: yes"), []string{`line 4: rule "r": "late_members" must be true or false`}},
		{"approvals have an unknown key", approvals("count: 1, from: [ops], expires: 4h"), []string{`line 4: rule "r": "expires" is not a key of "approvals". Did you mean "expires_in"?`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(strings.Join(c.want, "\n"), problems(t, c.file).Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAQuorumThatCannotBeCountedLoads(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]string{
		"a user group could have any number of members":   "ops",
		"several groups count together, each person once": "approvers, pair",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := strings.Replace(rules("  - {name: r, effect: require, approvals: {count: 4, from: ["+from+"]}}"),
				"rules:", "  pair:      {users: [U0DAN, U0EVE]}\nrules:", 1)
			load(t, file)
		})
	}
}

func TestPeopleInTwoGroupsCountOnceTowardsTheQuorum(t *testing.T) {
	t.Parallel()
	file := strings.Replace(rules("  - {name: r, effect: require, approvals: {count: 4, from: [approvers, pair]}}"),
		"rules:", "  pair:      {users: [U0DAN, U0CLEO]}\nrules:", 1)
	want := `line 7: rule "r": 4 approvals are demanded and groups approvers and pair has 3 people; nobody could ever get this approved`
	if got := problems(t, file).Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAllProblemsComeAtOnceSortedByLine(t *testing.T) {
	t.Parallel()
	got := problems(t, `version: 1
operators: {users: [ana]}
groups: {ops: {users: [U0ANA]}}
rules:
  - {name: one, effect: deny, tenants: [nowhere], who: [nobody], commands: [nothing]}
  - {name: two, effect: forbid}
extra: 1
`)
	var lines []int
	for _, p := range got {
		lines = append(lines, p.Line)
	}
	if diff := cmp.Diff([]int{2, 5, 5, 5, 6, 7}, lines); diff != "" {
		t.Errorf("%s\n%v", diff, got)
	}
	var one authz.Problem
	if !errors.As(error(got), &one) || one.Line != 2 {
		t.Errorf("errors.As must find a Problem, got %+v", one)
	}
}

func TestAFloodOfProblemsIsCounted(t *testing.T) {
	t.Parallel()
	got := problems(t, rules("  - {name: d, effect: deny, commands: ["+strings.Join(numbered("c", 301), ",")+"]}"))
	if len(got) != 101 || got[100].Text != "and 201 more problems after these" {
		t.Errorf("got %d problems, the last is %v", len(got), got[len(got)-1])
	}
}

func numbered(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}

func TestACatalogueThatContradictsItselfIsNoProblemOfTheFile(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]authz.Known{
		"a command without a class":     {Commands: map[string]authz.Command{"x": {}}},
		"a read that gives admin":       {Commands: map[string]authz.Command{"x": {Class: authz.Read, MayGiveAdmin: true}}},
		"a command that looks a class":  {Commands: map[string]authz.Command{"@x": {Class: authz.Read}}},
		"a tenant that looks a pattern": {Tenants: []string{"*"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := authz.Load([]byte(rules(anyoneMayRead)), known)
			var ps authz.Problems
			if err == nil || p != nil || errors.As(err, &ps) {
				t.Errorf("want an error that is not Problems, got %v", err)
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string][]string{
		"space *":  {"space create", "space delete", "space list", "space show"},
		"*admin":   {"add-admin", "remove-admin"},
		"*admin*":  {"add-admin", "admins", "remove-admin"},
		"* *ea*":   {"space create", "user create"},
		"space*e*": {"space create", "space delete"},
		"u* *e":    {"user create", "user disable"},
		"roles*":   {"roles"},
	} {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			p := load(t, rules(`  - {name: a, effect: allow, who: [anyone], commands: ["`+pattern+`"], tenants: ["*"]}`))
			var got []string
			for _, command := range slices.Sorted(maps.Keys(world().Commands)) {
				if p.Ask(ana(command)).Allowed() {
					got = append(got, command)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAHugeFileIsReadInBoundedTime(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	fill := func(s string) string { return strings.Repeat(s, (size-200)/len(s)) }
	for name, file := range map[string]string{
		"depth":    fill("["),
		"one key":  fill("a: b\n"),
		"comments": fill("# a\n- b\n"),
		"rules":    "rules: [" + fill("{a: b},") + "]",
		"words":    "rules: [{commands: [" + fill("admims,") + "]}]",
		"patterns": "rules: [{commands: [" + fill("'*a*b*',") + "]}]",
		"anchors":  fill("- &a b\n"),
		"aliases":  "a: &a [b]\nc: [" + fill("*a,") + "]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			if got := problems(t, file); len(got) > 101 {
				t.Errorf("%d problems", len(got))
			}
			// Each takes well under a second; quadratic work on a megabyte would not end in time.
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

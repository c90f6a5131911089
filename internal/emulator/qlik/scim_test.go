package qlik

import (
	"strings"
	"testing"
)

// bob is what the filters of these tests are matched against.
func bob(name string) []string {
	return map[string][]string{
		"id": {"42"}, "name": {"Bob O'Hara"}, "email": {"bob@example.com"}, "subject": {`ACME\bob"1`},
		"status": {"active"}, "assignedRoles.name": {"TenantAdmin", "Steward"},
	}[name]
}

func TestFilterMatchesAsItSays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`name eq "Bob O'Hara"`:                                         true,
		`name eq "bob o'hara"`:                                         true,
		`name eq "Bob"`:                                                false,
		`name co "hara"`:                                               true,
		`name CO "HARA"`:                                               true,
		`email co "+"`:                                                 false,
		`subject eq "acme\\bob\"1"`:                                    true,
		`assignedRoles.name eq "steward"`:                              true,
		`assignedRoles.name eq "Developer"`:                            false,
		`name eq "x" or email eq "bob@example.com"`:                    true,
		`name eq "x" and email eq "bob@example.com"`:                   false,
		`name eq "x" and email eq "x" or id eq "42"`:                   true,
		`name eq "x" and (email eq "x" or id eq "42")`:                 false,
		`id eq "42" AND (email eq "x" OR name co "bob")`:               true,
		`((id eq "42"))`:                                               true,
		`status eq "ACTIVE"`:                                           true,
		`status eq "disabled" or status eq "active"`:                   true,
		`id eq "42" and status eq "active"`:                            true,
		`(status eq "disabled" or status eq "invited") and id eq "42"`: false,
		`(name eq "x" or id eq "42") and (status eq "active" or status eq "disabled")`:            true,
		`((name eq "x" or id eq "42") and (status eq "active" or status eq "disabled"))`:          true,
		`id eq "42" and name co "bob" and (status eq "active" or (status eq "disabled"))`:         true,
		`name co "b" or email co "b" or subject co "b" or id eq "b" or assignedRoles.name eq "b"`: true,
	} {
		f, err := parseFilter(text, userFilter)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.match(bob); got != want {
			t.Errorf("%s is %v for Bob, want %v", text, got, want)
		}
	}
}

func TestFilterRefusesWhatIsNotDocumented(t *testing.T) {
	t.Parallel()
	for why, text := range map[string]string{
		"empty":                          ``,
		"only a space":                   ` `,
		"an operator of other resources": `name sw "B"`,
		"an inequality":                  `createdAt gt "2026-01-01"`,
		"a negation":                     `not (name eq "B")`,
		"ne":                             `status ne "active"`,
		"presence":                       `email pr`,
		"an unknown attribute":           `role eq "TenantAdmin"`,
		"an attribute in another case":   `Name eq "B"`,
		"co where only eq is":            `id co "4"`,
		"single quotes":                  `name eq 'B'`,
		"no quotes":                      `name eq B`,
		"a value that does not end":      `name eq "B`,
		"an escape of JSON":              `name eq "\u0042"`,
		"a lone backslash at the end":    `name eq "B\`,
		"a control character":            "name eq \"B\n\"",
		"an unescaped quote inside":      `name eq "B"ob"`,
		"two values":                     `name eq "B" "C"`,
		"a missing value":                `name eq`,
		"a missing operator":             `name "B"`,
		"words run together":             `name eq "B"and id eq "4"`,
		"an open bracket":                `(name eq "B"`,
		"a stray bracket":                `name eq "B")`,
		"empty brackets":                 `()`,
		"a dangling and":                 `name eq "B" and`,
		"a leading or":                   `or name eq "B"`,
		"a status that is none":          `status eq "orphan"`,
		"status or-ed with the rest":     `name eq "Bob" or status eq "active"`,
		"status without brackets":        `name eq "Bob" or name eq "Alice" and (status eq "active" or status eq "disabled")`,
		"status in several places":       `name eq "Bob" and status eq "active" and status eq "disabled"`,
		"status inside another bracket":  `(name eq "Bob" and status eq "active") and id eq "4"`,
		"status or-ed at the end":        `name eq "Bob" and status eq "active" or status eq "disabled"`,
		"too many brackets":              strings.Repeat("(", 40) + `id eq "4"` + strings.Repeat(")", 40),
		"too many IDs":                   strings.Repeat(`id eq "4" or `, 100) + `id eq "4"`,
	} {
		if f, err := parseFilter(text, userFilter); err == nil {
			t.Errorf("%s: %s is taken as %s", why, text, f)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{
		``, `name eq "B"`, `id eq "1" or id eq "2"`, `(name co "a" and email eq "b") and (status eq "active" or status eq "disabled")`,
		`subject eq "ACME\\bob\"1"`, `name eq "\x"`, `((((`, `name eq "a" and`, `assignedGroupsAssignedRoles.name eq "TenantAdmin"`,
		`name eq "ü"`, "name eq \"\x00\"", `not (id eq "1")`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseFilter(text, userFilter)
		if err != nil {
			if sentence(err) == "" {
				t.Error("an error without words")
			}
			return
		}
		again, err := parseFilter(parsed.String(), userFilter)
		if err != nil {
			t.Fatalf("%q is taken, but its own form %q is not: %v", text, parsed, err)
		}
		if again.String() != parsed.String() {
			t.Errorf("%q becomes %q and then %q", text, parsed, again)
		}
		if again.match(bob) != parsed.match(bob) {
			t.Errorf("%q and its own form %q disagree", text, parsed)
		}
	})
}

package qlik

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestFilterForms(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		filter Filter
		want   string
	}{
		{"nothing", Filter{}, ``},
		{"one comparison", Where(Eq(FieldEmail, "a@example.com")), `email eq "a@example.com"`},
		{"part of a value", Where(Contains(FieldName, "ann")), `name co "ann"`},
		{"the status alone stands in one bracket", StatusIn(StatusActive, StatusDisabled), `(status eq "active" or status eq "disabled")`},
		{
			"the status is and-ed with the whole rest",
			Where(Or(Eq(FieldName, "Bob"), Eq(FieldName, "Alice"))).StatusIn(StatusActive),
			`(name eq "Bob" or name eq "Alice") and (status eq "active")`,
		},
		{
			"naming statuses again replaces them",
			Where(Eq(FieldID, "1")).StatusIn(StatusActive).StatusIn(StatusInvited),
			`(id eq "1") and (status eq "invited")`,
		},
		{
			"combinations inside combinations stand in brackets",
			Where(And(Or(Eq(FieldID, "1"), Eq(FieldID, "2")), Contains(FieldEmail, "x"), And(Eq(FieldClientID, "3")))),
			`(id eq "1" or id eq "2") and email co "x" and clientId eq "3"`,
		},
		{
			"all admins",
			Where(Or(Eq(FieldAssignedRoleName, "TenantAdmin"), Eq(FieldGroupRoleName, "TenantAdmin"))),
			`assignedRoles.name eq "TenantAdmin" or assignedGroupsAssignedRoles.name eq "TenantAdmin"`,
		},
		{
			"roles and groups by ID",
			Where(And(Eq(FieldAssignedRoleID, "r"), Eq(FieldAssignedGroupID, "g"))),
			`assignedRoles.id eq "r" and assignedGroups.id eq "g"`,
		},
		{"typed text cannot end the value", Where(Eq(FieldSubject, `x" or name co "`)), `subject eq "x\" or name co \""`},
		{"backslashes are doubled", Where(Eq(FieldSubject, `qlikbot\1`)), `subject eq "qlikbot\\1"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.filter.Err(); err != nil {
				t.Fatal(err)
			}
			if got := c.filter.String(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestFiltersThatWouldWidenASelectionAreErrors(t *testing.T) {
	t.Parallel()
	good := Eq(FieldID, "1")
	cases := map[string]Filter{
		"an empty value":                   Where(Eq(FieldEmail, "")),
		"an empty part":                    Where(Contains(FieldEmail, "")),
		"no such field":                    Where(Eq(Field(99), "x")),
		"no field":                         Where(Eq(0, "x")),
		"a field not searchable by part":   Where(Contains(FieldID, "x")),
		"an empty condition":               Where(Condition{}),
		"no conditions in Or":              Where(Or()),
		"no conditions in And":             Where(And()),
		"an empty condition in Or":         Where(Or(good, Condition{})),
		"a bad condition deep down":        Where(And(good, Or(good, Eq(FieldName, "")))),
		"no status":                        StatusIn(),
		"an unknown status":                StatusIn("active", "pending"),
		"a status that is more than one":   StatusIn(`active" or status eq "deleted`),
		"a control character":              Where(Eq(FieldName, "a\nb")),
		"text that is not UTF-8":           Where(Eq(FieldName, "a\xffb")),
		"a bad condition with good status": Where(Eq(FieldName, "")).StatusIn(StatusActive),
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !errors.Is(f.Err(), ErrInvalid) {
				t.Errorf("Err() = %v, want ErrInvalid; the filter is %q", f.Err(), f)
			}
			if f.String() != "" {
				t.Errorf("it can be sent: %s", f)
			}
		})
	}
}

// unquote reads one quoted value off the front of s, byte by byte: the reader
// that quote has to satisfy.
func unquote(s string) (value, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			i++
			switch {
			case i < len(s) && (s[i] == '"' || s[i] == '\\'):
				b.WriteByte(s[i])
			case i+4 < len(s) && s[i:i+3] == "u00":
				hi, lo := strings.IndexByte("0123456789abcdef", s[i+3]), strings.IndexByte("0123456789abcdef", s[i+4])
				if hi < 0 || lo < 0 {
					return "", "", false
				}
				b.WriteByte(byte(hi<<4 | lo))
				i += 4
			default:
				return "", "", false
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

func FuzzQuotedValueReadsBackAsItself(f *testing.F) {
	for _, s := range []string{
		"", "a@example.com", `"`, `\`, `\"`, `x" or name co "`, `\\" or status eq "deleted`, `qlikbot\abc`,
		"auth0|5f", "a+b@example.com", "line\nbreak", "\x00\x1f\x7f", "Zoë", "\u2028", "\xff\xfe", `) or (id co "`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := quote(s)
		value, rest, ok := unquote(q)
		if !ok || value != s || rest != "" {
			t.Fatalf("quote(%q) = %s reads back as %q, rest %q, %v", s, q, value, rest, ok)
		}
		if utf8.ValidString(s) {
			var back string
			if err := json.Unmarshal([]byte(q), &back); err != nil || back != s {
				t.Fatalf("as JSON %s is %q, %v", q, back, err)
			}
		}
		c := Where(Eq(FieldSubject, s)).StatusIn(StatusActive)
		plain := s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
		if (c.Err() == nil) != plain {
			t.Fatalf("Eq(%q): %v", s, c.Err())
		}
		if !plain {
			return
		}
		after, ok := strings.CutPrefix(c.String(), `(subject eq `)
		if !ok {
			t.Fatalf("%q makes %s", s, c)
		}
		if value, rest, ok = unquote(after); !ok || value != s || rest != `) and (status eq "active")` {
			t.Fatalf("%q gets out of its value in %s", s, c)
		}
	})
}

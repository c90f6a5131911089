package qlik

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Field is a property that a filter can compare
// (users.json: GET /api/v1/users, parameter filter). The status is not among
// them: it has its own place in a Filter.
type Field int

// The fields. Contains works with FieldName, FieldEmail and FieldSubject.
const (
	FieldID Field = iota + 1
	FieldSubject
	FieldName
	FieldEmail
	FieldClientID
	FieldAssignedRoleID   // roles held directly
	FieldAssignedRoleName // roles held directly
	FieldAssignedGroupID
	FieldGroupRoleName // roles held through groups
)

// String gives the field as it stands in a filter, "" for no field.
func (f Field) String() string {
	switch f {
	case FieldID:
		return "id"
	case FieldSubject:
		return "subject"
	case FieldName:
		return "name"
	case FieldEmail:
		return "email"
	case FieldClientID:
		return "clientId"
	case FieldAssignedRoleID:
		return "assignedRoles.id"
	case FieldAssignedRoleName:
		return "assignedRoles.name"
	case FieldAssignedGroupID:
		return "assignedGroups.id"
	case FieldGroupRoleName:
		return "assignedGroupsAssignedRoles.name"
	default:
		return ""
	}
}

// Condition is a comparison or a combination of comparisons. Qlik compares
// without regard to case: compare again what comes back.
type Condition struct {
	expr string
	leaf bool  // expr needs no brackets inside And and Or
	err  error // why this cannot be sent; carried into every combination
}

// Eq compares the whole value. An empty value is an error, reported by the
// call that uses the filter.
func Eq(f Field, value string) Condition { return compare(f, "eq", value) }

// Contains compares a part of the value.
func Contains(f Field, value string) Condition {
	if f != FieldName && f != FieldEmail && f != FieldSubject {
		return Condition{err: fmt.Errorf("%w: %q cannot be searched by part", ErrInvalid, f)}
	}
	return compare(f, "co", value)
}

func compare(f Field, operator, value string) Condition {
	switch {
	case f.String() == "":
		return Condition{err: fmt.Errorf("%w: no such filter field", ErrInvalid)}
	case value == "":
		return Condition{err: fmt.Errorf("%w: empty value for %s in a filter", ErrInvalid, f)}
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		// Qlik documents how to escape quotes and backslashes only.
		return Condition{err: fmt.Errorf("%w: value for %s in a filter is not plain text", ErrInvalid, f)}
	}
	return Condition{expr: f.String() + " " + operator + " " + quote(value), leaf: true}
}

// And holds where all conditions hold. Without conditions it is an error, not
// "everything".
func And(conditions ...Condition) Condition { return combine(" and ", conditions) }

// Or holds where any condition holds. Without conditions it is an error, not
// "everything".
func Or(conditions ...Condition) Condition { return combine(" or ", conditions) }

func combine(operator string, conditions []Condition) Condition {
	if len(conditions) == 0 {
		return Condition{err: fmt.Errorf("%w: a filter combines no conditions", ErrInvalid)}
	}
	if len(conditions) == 1 {
		return conditions[0]
	}
	parts := make([]string, len(conditions))
	for i, c := range conditions {
		switch {
		case c.err != nil:
			return c
		case c.expr == "":
			return Condition{err: fmt.Errorf("%w: a filter combines an empty condition", ErrInvalid)}
		case c.leaf:
			parts[i] = c.expr
		default:
			parts[i] = "(" + c.expr + ")"
		}
	}
	return Condition{expr: strings.Join(parts, operator)}
}

// Filter is a condition and the statuses wanted. Qlik demands that all terms
// on the status stand in one bracket which is and-ed with the whole rest;
// keeping them apart until the end makes any other form impossible. The zero
// value filters nothing.
type Filter struct {
	where    Condition
	statuses []string
}

// Where is the filter of one condition, for any status.
func Where(c Condition) Filter {
	if c.err == nil && c.expr == "" {
		c.err = fmt.Errorf("%w: a filter has an empty condition", ErrInvalid)
	}
	return Filter{where: c}
}

// StatusIn is the filter for users of any of the statuses.
func StatusIn(statuses ...string) Filter { return Filter{}.StatusIn(statuses...) }

// StatusIn gives the filter with these statuses in place of its own. Naming
// none, or one that Qlik does not have, is an error.
func (f Filter) StatusIn(statuses ...string) Filter {
	if f.where.err != nil {
		return f
	}
	if len(statuses) == 0 {
		f.where.err = fmt.Errorf("%w: a filter names no status", ErrInvalid)
	}
	for _, s := range statuses {
		switch s {
		case StatusActive, StatusInvited, StatusDisabled, StatusProvisioned, StatusDeleted:
		default:
			f.where.err = fmt.Errorf("%w: no such user status in a filter", ErrInvalid)
		}
	}
	f.statuses = append([]string(nil), statuses...)
	return f
}

// Err says why the filter cannot be sent, or nil.
func (f Filter) Err() error { return f.where.err }

// String gives the filter as it is sent; "" for the zero value and for one
// that cannot be sent.
func (f Filter) String() string {
	if f.where.err != nil {
		return ""
	}
	if len(f.statuses) == 0 {
		return f.where.expr
	}
	terms := make([]string, len(f.statuses))
	for i, s := range f.statuses {
		terms[i] = "status eq " + quote(s)
	}
	status := "(" + strings.Join(terms, " or ") + ")"
	if f.where.expr == "" {
		return status
	}
	return "(" + f.where.expr + ") and " + status
}

// quote makes a filter value of any string: a JSON string (RFC 7644 takes its
// values from JSON), in which quotes, backslashes and control characters are
// escaped and all else stands as it is.
func quote(s string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c == 0x7f:
			b.WriteString(`\u00`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&0xf])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

package commands

import (
	"context"

	"github.com/qlik-chatops/bot/internal/approval"
)

// Class is the static part of what a command does; the policy names it as
// @read, @people or @change.
type Class string

// The classes.
const (
	ClassRead   Class = "read"   // reads that name no people
	ClassPeople Class = "people" // reads that show people
	ClassChange Class = "change" // everything that writes
)

// Keyword is a word that is followed by a value of its own kind, wherever it
// stands after the command's name.
type Keyword string

// The keywords. All but KeyLang are keywords in every command and are refused
// where they do not apply; "lang" is an ordinary word outside its command.
const (
	KeyOn      Keyword = "on"      // the tenant that is read or changed
	KeyFrom    Keyword = "from"    // the tenant where people are looked up
	KeyAs      Keyword = "as"      // roles
	KeyFor     Keyword = "for"     // how long
	KeyUrgent  Keyword = "urgent"  // run now, be reviewed after
	KeyLang    Keyword = "lang"    // language of an invitation
	KeyBecause Keyword = "because" // the reason, to the end of the line; applies to every command
)

// Spec describes a command to people, to forms and to the policy.
type Spec struct {
	// Name is what is typed: "request show". Lower case, words separated by
	// single spaces.
	Name string
	// Summary is one sentence without a full stop.
	Summary string
	// Usage is the line of arguments after the name; empty: it takes none.
	Usage    string
	Examples []string
	Class    Class
	// MayGiveAdmin and MayTakeAdmin say what a plan could do at most.
	MayGiveAdmin, MayTakeAdmin bool
	// Ungoverned commands are decided by no rule of the policy: what they may
	// do follows from the request that they name.
	Ungoverned bool
	// Keywords that apply, besides "because".
	Keywords []Keyword
	// Later are keywords that will apply and are refused until they are built.
	Later []Keyword
	// Fields are the form that opens when a required argument is missing, in
	// the order in which they are shown.
	Fields []Field
	// Touches says which tenants are read and written, for the catalogue.
	Touches string
	// Calls are the Qlik operations that it may use, by the client's names,
	// sorted; those of its steps included.
	Calls []string
}

// Control is the kind of input of a form's field.
type Control string

// The controls, and the values that FromForm takes from each.
const (
	ControlTenant Control = "tenant" // one tenant label
	ControlPerson Control = "person" // one person as typed; a picked Slack user is "<@ID>"
	ControlEmails Control = "emails" // addresses, separated by spaces, commas, semicolons or new lines
	ControlRoles  Control = "roles"  // role names: one a value, or separated by commas
	ControlText   Control = "text"   // one word or value
	ControlReason Control = "reason" // free text
)

// Field is one input of a command's form.
type Field struct {
	// Name is the key in FromForm and in MissingError.
	Name     string
	Label    string
	Control  Control
	Required bool
	Hint     string
}

// The names of fields that several commands share.
const (
	FieldTenant = "tenant"
	FieldFrom   = "from"
	FieldPerson = "person"
	FieldEmails = "emails"
	FieldRoles  = "roles"
	FieldLang   = "lang"
	FieldID     = "id"
	FieldReason = "reason"
)

// Command is something that a person can ask for. Its exported fields are its
// arguments as JSON, from which a stored request is planned again.
type Command interface {
	Spec() Spec
	// Parse takes the arguments into the command's fields. Its error is a
	// *UsageError, *MissingError or *NotBuiltError.
	Parse(Args) error
	// Typed is the inverse of Parse: the arguments as somebody could have
	// typed them.
	Typed() Args
}

// Change is a command that changes a tenant.
type Change interface {
	Command
	// Plan reads the tenants and makes the plan. It never writes. Its error
	// is a *RefusedError with sentences for people, or a context's error.
	Plan(ctx context.Context, w World) (approval.Plan, error)
}

// Read is a command that only answers.
type Read interface {
	Command
	// Answer makes the reply. Its error is a *RefusedError or a context's.
	Answer(ctx context.Context, w World) (Reply, error)
}

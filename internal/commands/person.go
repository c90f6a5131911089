package commands

import (
	"fmt"
	"regexp"
	"strings"
)

// Person is how somebody was named. Exactly one field is filled.
type Person struct {
	// Slack is a Slack user ID, from a mention.
	Slack string `json:"slack,omitempty"`
	// Email is in lower case.
	Email string `json:"email,omitempty"`
	// ID is a Qlik user ID of the tenant where the person is looked up.
	ID      string `json:"id,omitempty"`
	Subject string `json:"subject,omitempty"`
}

const subjectPrefix = "subject:"

// Qlik's user IDs are 24 hexadecimal digits, a few 32 letters, digits, "-" and
// "_" (users.json, examples of User.id). A plain name is no ID.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]*$`)

const (
	minID = 8
	maxID = 64
)

// readPerson reads one word as a person.
func readPerson(w Word) (Person, error) {
	if id, ok := w.Mention(); ok {
		return Person{Slack: id}, nil
	}
	text := w.Text()
	const ways = "A person is a Slack mention, an e-mail address, a Qlik user ID, or subject:<value>."
	wrong := func(say string) (Person, error) {
		return Person{}, &UsageError{Say: say, Hint: ways, Field: FieldPerson}
	}
	if len(text) >= len(subjectPrefix) && strings.EqualFold(text[:len(subjectPrefix)], subjectPrefix) {
		subject := strings.TrimSpace(text[len(subjectPrefix):])
		if subject == "" {
			return wrong("After subject: the subject is missing.")
		}
		if len(subject) > 256 {
			return wrong("That subject is too long to be one.")
		}
		return Person{Subject: subject}, nil
	}
	switch {
	case strings.HasPrefix(text, "@"):
		return wrong(fmt.Sprintf("Slack sent the name %s instead of a mention, and names are not unique.", show(text)))
	case strings.HasPrefix(text, "<"):
		return wrong(fmt.Sprintf("%s names no person.", show(text)))
	case strings.HasPrefix(strings.ToLower(text), "group:"):
		return wrong(fmt.Sprintf("%s is a group, and this command is about one person.", show(text)))
	case strings.Contains(text, "@"):
		email, why := readEmail(text)
		if why != "" {
			return wrong(fmt.Sprintf("%s is not an e-mail address that can be used: %s.", show(text), why))
		}
		return Person{Email: email}, nil
	case len(text) >= minID && len(text) <= maxID && idPattern.MatchString(text):
		return Person{ID: text}, nil
	}
	return wrong(fmt.Sprintf("%s names no person in a way that is certain.", show(text)))
}

// word is the person as somebody could have typed them.
func (p Person) word() Word {
	switch {
	case p.Slack != "":
		return mentionOf(p.Slack)
	case p.Subject != "":
		return wordOf(subjectPrefix + p.Subject)
	case p.ID != "":
		return wordOf(p.ID)
	}
	return wordOf(p.Email)
}

// String is the person for a sentence.
func (p Person) String() string {
	switch {
	case p.Slack != "":
		return "the Slack user " + p.Slack
	case p.Subject != "":
		return "the subject " + show(p.Subject)
	case p.ID != "":
		return "the user ID " + p.ID
	}
	return p.Email
}

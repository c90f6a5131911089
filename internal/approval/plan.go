package approval

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// Plan is what a request will do. It is data: its JSON is what approvers are
// shown, what is stored and what runs.
type Plan struct {
	// Command is the catalogue name, such as "add-admin".
	Command string `json:"command"`
	// Tenant is the label of the tenant that is changed.
	Tenant string `json:"tenant"`
	// Title says in one line what will be so afterwards, naming the person
	// and the tenant. Cosmetic.
	Title string `json:"title"`
	// Targets are the people whom the plan is about.
	Targets []Target `json:"targets,omitempty"`
	// Facts are label and value pairs for the card, such as the subject.
	// Cosmetic: what matters of them stands in the steps.
	Facts []Fact `json:"facts,omitempty"`
	// Notes are consequences and warnings, one sentence each. Cosmetic.
	Notes []string `json:"notes,omitempty"`
	// Steps run in this order. A plan without steps has Nothing instead.
	Steps []Step `json:"steps,omitempty"`
	// Nothing says why there is nothing to do; empty when there are steps.
	Nothing string `json:"nothing,omitempty"`
}

// Fact is one labelled value on a card.
type Fact struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// Target is a person whom a plan is about.
type Target struct {
	Email   string `json:"email,omitempty"` // lower case
	Name    string `json:"name,omitempty"`
	Subject string `json:"subject,omitempty"`
	// Slack is the person's Slack user ID where it is known. Their vote on
	// this request never counts.
	Slack string `json:"slack,omitempty"`
}

// Step is one write to Qlik.
type Step struct {
	// Kind is from the closed set of package steps, such as "create-user".
	Kind string `json:"kind"`
	// Tenant is the label of the tenant that the step writes to.
	Tenant string `json:"tenant"`
	// Object identifies what is touched: a Qlik ID, or where the object does
	// not exist yet the key by which it will be found.
	Object string `json:"object"`
	// Params is what the step does, in the shape that its kind declares.
	Params json.RawMessage `json:"params,omitempty"`
	// Before is the state found at planning that matters for the decision,
	// in the shape that the kind declares. It is part of the digest.
	Before json.RawMessage `json:"before,omitempty"`
	// Line says in one line for people what the step does. Cosmetic.
	Line string `json:"line"`
	// Changes are the before and after that people are shown. Cosmetic:
	// derived from Before and Params.
	Changes []Change `json:"changes,omitempty"`
	// GivesAdmin and TakesAdmin say whether the step adds to or takes from
	// somebody's administrative power; the policy judges by them.
	GivesAdmin bool `json:"gives_admin,omitempty"`
	TakesAdmin bool `json:"takes_admin,omitempty"`
}

// Change is one property before and after a step, in words.
type Change struct {
	Property string `json:"property"`
	Before   string `json:"before"`
	After    string `json:"after"`
}

// GivesAdmin says whether any step gives administrative power.
func (p Plan) GivesAdmin() bool {
	for _, s := range p.Steps {
		if s.GivesAdmin {
			return true
		}
	}
	return false
}

// TakesAdmin says whether any step takes administrative power away.
func (p Plan) TakesAdmin() bool {
	for _, s := range p.Steps {
		if s.TakesAdmin {
			return true
		}
	}
	return false
}

// Digest ties decisions to what they were about: SHA-256, hex, over the
// canonical form (RFC 8785) of command, tenant and for every step kind,
// tenant, object, parameters and the before-state. Titles, notes and lines
// are left out, so that rewording a sentence never voids an approval. A plan
// that the canonical form cannot tell from another one has no digest.
func (p Plan) Digest() (string, error) {
	if err := p.distinct(); err != nil {
		return "", fmt.Errorf("digest of a plan for %s: %w", p.Command, err)
	}
	type step struct {
		Kind       string          `json:"kind"`
		Tenant     string          `json:"tenant"`
		Object     string          `json:"object"`
		Params     json.RawMessage `json:"params,omitempty"`
		Before     json.RawMessage `json:"before,omitempty"`
		GivesAdmin bool            `json:"gives_admin"`
		TakesAdmin bool            `json:"takes_admin"`
	}
	doc := struct {
		Form    int    `json:"form"`
		Command string `json:"command"`
		Tenant  string `json:"tenant"`
		Steps   []step `json:"steps"`
	}{Form: 1, Command: p.Command, Tenant: p.Tenant, Steps: make([]step, 0, len(p.Steps))}
	for _, s := range p.Steps {
		doc.Steps = append(doc.Steps, step{s.Kind, s.Tenant, s.Object, s.Params, s.Before, s.GivesAdmin, s.TakesAdmin})
	}
	plain, err := json.Marshal(doc)
	if err != nil {
		return "", fmt.Errorf("digest of a plan for %s: %w", p.Command, err)
	}
	canonical, err := jcs.Transform(plain)
	if err != nil {
		return "", fmt.Errorf("digest of a plan for %s: %w", p.Command, err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}

// distinct refuses what two different plans could share a canonical form by:
// text that is not UTF-8, and whole numbers that a double does not hold.
func (p Plan) distinct() error {
	texts := []string{p.Command, p.Tenant}
	for i, s := range p.Steps {
		texts = append(texts, s.Kind, s.Tenant, s.Object)
		for _, doc := range []json.RawMessage{s.Params, s.Before} {
			if err := wholeNumbers(doc); err != nil {
				return fmt.Errorf("step %d: %w", i, err)
			}
		}
	}
	for _, t := range texts {
		if !utf8.ValidString(t) {
			return fmt.Errorf("%q is not UTF-8", t)
		}
	}
	return nil
}

// maxWhole is the least whole number that a double may stand for together with
// a neighbour.
const maxWhole = 1 << 53

func wholeNumbers(doc json.RawMessage) error {
	if len(doc) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n, ok := token.(json.Number)
		if !ok || strings.ContainsAny(n.String(), ".eE") {
			continue
		}
		if i, err := n.Int64(); err != nil || i >= maxWhole || i <= -maxWhole {
			return fmt.Errorf("the number %s is too large to be told from its neighbours; it must be text", n)
		}
	}
}

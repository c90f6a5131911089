package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// Actor is the person behind an entry, by the IDs of Slack's envelope. Both
// fields are empty for what the bot did by itself (an expiry, a step).
type Actor struct {
	Team string `json:"team"`
	User string `json:"user"`
}

// Entry is what is to be written down, before it has a place in the chain.
type Entry struct {
	// Request is the request's ID, or the ID that was drawn for a command
	// that never became a request.
	Request string
	// Event is what happened, from the closed list of events below.
	Event Event
	Actor Actor
	// Tenant and Command are labels and command names, or empty.
	Tenant  string
	Command string
	// Outcome is one word or a short phrase: "allowed", "refused", a state.
	Outcome string
	// Detail is one line for a reader. It never holds a secret.
	Detail string
	// Policy and Plan are digests (SHA-256, hex), or empty.
	Policy string
	Plan   string
}

// Event names one kind of entry. The words are public: people search for them.
type Event string

// The events of the chain, in the order of a request's life.
const (
	EventAsked    Event = "asked"    // a command was judged
	EventRefused  Event = "refused"  // a command, click or form was turned away
	EventPlanned  Event = "planned"  // a plan was put to the approvers
	EventDecided  Event = "decided"  // approve, deny, confirm, cancel, withdraw
	EventApproved Event = "approved" // the last demand was met
	EventReplan   Event = "replanned"
	EventExpired  Event = "expired"
	EventSending  Event = "sending" // a step's intent, before its first byte
	EventStep     Event = "step"    // how a step ended
	EventEnded    Event = "ended"   // how the request ended
)

// Record is an entry in its place. Its JSON form is public interface.
type Record struct {
	Seq     int64  `json:"seq"`
	Time    string `json:"time"` // RFC 3339 with milliseconds, UTC
	Request string `json:"request"`
	Event   string `json:"event"`
	Actor   Actor  `json:"actor"`
	Tenant  string `json:"tenant"`
	Command string `json:"command"`
	Outcome string `json:"outcome"`
	Detail  string `json:"detail"`
	Policy  string `json:"policy"`
	Plan    string `json:"plan"`
	Prev    string `json:"prev"`
	Hash    string `json:"hash,omitempty"`
}

// timeFormat keeps every record's time the same length and in UTC.
const timeFormat = "2006-01-02T15:04:05.000Z"

// Head is the end of a chain: the last record's number and hash. The zero
// Head is the beginning of an empty chain.
type Head struct {
	Seq  int64
	Hash string
}

// FormatTime is a time as records carry it. Such times sort as text.
func FormatTime(t time.Time) string { return t.UTC().Format(timeFormat) }

// Seal gives the entry its place after head. Bytes of the entry that are not
// UTF-8 become U+FFFD, as they would in JSON: what is hashed is what is kept.
func Seal(head Head, e Entry, at time.Time) (Record, error) {
	e = e.valid()
	r := Record{
		Seq:     head.Seq + 1,
		Time:    FormatTime(at),
		Request: e.Request,
		Event:   string(e.Event),
		Actor:   e.Actor,
		Tenant:  e.Tenant,
		Command: e.Command,
		Outcome: e.Outcome,
		Detail:  e.Detail,
		Policy:  e.Policy,
		Plan:    e.Plan,
		Prev:    head.Hash,
	}
	sum, err := r.sum()
	if err != nil {
		return Record{}, fmt.Errorf("seal record %d: %w", r.Seq, err)
	}
	r.Hash = sum
	return r, nil
}

// valid is the entry with U+FFFD for every run of bytes that is not UTF-8.
func (e Entry) valid() Entry {
	for _, s := range []*string{
		&e.Request, (*string)(&e.Event), &e.Actor.Team, &e.Actor.User, &e.Tenant,
		&e.Command, &e.Outcome, &e.Detail, &e.Policy, &e.Plan,
	} {
		*s = strings.ToValidUTF8(*s, "\uFFFD")
	}
	return e
}

// sum is SHA-256, hex, of the RFC 8785 form of the record without its hash.
// Text that is not UTF-8 has no such form; encoding/json would hide it.
func (r Record) sum() (string, error) {
	r.Hash = ""
	for _, s := range []string{
		r.Time, r.Request, r.Event, r.Actor.Team, r.Actor.User, r.Tenant,
		r.Command, r.Outcome, r.Detail, r.Policy, r.Plan, r.Prev,
	} {
		if !utf8.ValidString(s) {
			return "", errors.New("it holds text that is not UTF-8")
		}
	}
	plain, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	canonical, err := jcs.Transform(plain)
	if err != nil {
		return "", fmt.Errorf("canonical form: %w", err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}

// Head is the end of the chain once r has been appended.
func (r Record) Head() Head { return Head{Seq: r.Seq, Hash: r.Hash} }

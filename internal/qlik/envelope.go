package qlik

import (
	"encoding/json"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Longest texts that are kept of an error.
const (
	maxTitle   = 200
	maxDetail  = 1000
	maxEntries = 100
)

// envelope is an error body, whatever its form.
type envelope struct {
	entries []ErrorEntry
	traceID string
}

// envelopeReader reads error bodies and takes texts that must stay hidden out
// of them, before anything is cut off: half a secret is one too.
type envelopeReader struct{ hidden []string }

func (r envelopeReader) text(raw json.RawMessage, limit int) string {
	return clean(hide(scalar(raw), r.hidden), limit)
}

// parseEnvelope reads an error body in any of the forms that Qlik's services
// use: errors[] with code and status as text or number, with or without a
// trace ID; the same fields at the top; licences' error and message; RFC 6749's
// error and error_description. What it cannot read it leaves out: the body of
// an error never makes another error.
func parseEnvelope(body []byte, hidden []string) envelope {
	r := envelopeReader{hidden}
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil || top == nil {
		return envelope{}
	}
	env := envelope{traceID: r.text(top["traceId"], maxTitle)}
	add := func(entry ErrorEntry) {
		if entry != (ErrorEntry{}) && len(env.entries) < maxEntries {
			env.entries = append(env.entries, entry)
		}
	}
	var list []json.RawMessage
	if json.Unmarshal(top["errors"], &list) != nil && len(top["errors"]) > 0 {
		list = []json.RawMessage{top["errors"]} // one entry without its list
	}
	for _, raw := range list {
		add(r.entry(raw))
	}
	if len(env.entries) == 0 {
		add(r.entry(body))
	}
	if len(env.entries) == 0 {
		add(r.oauth(top))
	}
	return env
}

// oauth reads the form of RFC 6749, and licences' deprecated one.
func (r envelopeReader) oauth(top map[string]json.RawMessage) ErrorEntry {
	if inner := r.object(top["error"]); inner != (ErrorEntry{}) {
		return inner
	}
	return ErrorEntry{
		Code:   r.text(top["error"], maxTitle),
		Title:  r.text(top["message"], maxTitle),
		Detail: r.text(top["error_description"], maxDetail),
	}
}

// entry reads one entry: an object, or a bare text for its title.
func (r envelopeReader) entry(raw json.RawMessage) ErrorEntry {
	if text := r.text(raw, maxTitle); text != "" {
		return ErrorEntry{Title: text}
	}
	return r.object(raw)
}

func (r envelopeReader) object(raw json.RawMessage) ErrorEntry {
	var w map[string]json.RawMessage
	if json.Unmarshal(raw, &w) != nil {
		return ErrorEntry{}
	}
	entry := ErrorEntry{
		Code:   r.text(w["code"], maxTitle),
		Title:  r.text(w["title"], maxTitle),
		Detail: r.text(w["detail"], maxDetail),
	}
	var source map[string]json.RawMessage
	if json.Unmarshal(w["source"], &source) == nil {
		entry.Pointer = r.text(source["pointer"], maxTitle)
		if entry.Pointer == "" {
			entry.Pointer = r.text(source["parameter"], maxTitle)
		}
	}
	return entry
}

// scalar gives the text of a JSON string, number or boolean; "" for all else.
func scalar(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	var b bool
	if string(raw) != "null" && json.Unmarshal(raw, &b) == nil {
		return strconv.FormatBool(b)
	}
	return ""
}

// clean makes one line of printable text of at most limit bytes.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError || unicode.Is(unicode.Cf, r):
			return -1 // bidirectional overrides among them
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(s)
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// describeBody says what came where Qlik's error format was expected, without
// repeating it.
func describeBody(got received) string {
	if len(got.body) == 0 {
		return "no body"
	}
	kind, _, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	if err != nil || len(kind) > 60 {
		kind = "unknown type"
	}
	return fmt.Sprintf("%d bytes of %s that are not Qlik's error format", len(got.body), kind)
}

package qlik

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Filters are SCIM filters (RFC 7644, section 3.4.2.2), cut down to what
// Qlik's descriptions name:
//
//	filter     = conjunction *( "or" conjunction )
//	conjunction= factor *( "and" factor )
//	factor     = "(" filter ")" / attribute operator value
//	operator   = "eq" / "co"
//	value      = double-quoted; \" and \\ are the only escapes
//
// Keywords ignore case, attribute names do not.

const (
	maxDepth = 32  // brackets within brackets
	maxIDs   = 100 // terms on id (users.json: POST /api/v1/users/actions/filter)
)

// filterSchema says which attributes a filter may name.
type filterSchema struct {
	attributes map[string]attribute
	// groupStatus: terms on "status" must stand together, in one bracket if
	// there are several, and be and-ed with all the rest (users.json: GET
	// /api/v1/users, filter).
	groupStatus bool
}

// attribute says how one attribute may be compared.
type attribute struct {
	contains bool     // "co" too, besides "eq"
	values   []string // the only values it can have; nil: any
}

// filter is a parsed filter.
type filter interface {
	// match says whether an object with these attribute values is meant. An
	// attribute with several values matches when one of them does.
	match(values func(attribute string) []string) bool
	// terms visits every comparison.
	terms(visit func(comparison))
	String() string
}

type comparison struct {
	attribute, operator, value string
}

// junction is several filters joined by one word.
type junction struct {
	word  string // "and" or "or"
	parts []filter
}

// bracket is a filter in parentheses.
type bracket struct{ filter }

func (c comparison) match(values func(string) []string) bool {
	for _, v := range values(c.attribute) {
		if c.operator == "eq" && strings.EqualFold(v, c.value) ||
			c.operator == "co" && strings.Contains(strings.ToLower(v), strings.ToLower(c.value)) {
			return true
		}
	}
	return false
}

func (c comparison) terms(visit func(comparison)) { visit(c) }

func (c comparison) String() string {
	return fmt.Sprintf(`%s %s "%s"`, c.attribute, c.operator, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(c.value))
}

func (j junction) match(values func(string) []string) bool {
	for _, part := range j.parts {
		if part.match(values) == (j.word == "or") {
			return j.word == "or"
		}
	}
	return j.word == "and"
}

func (j junction) terms(visit func(comparison)) {
	for _, part := range j.parts {
		part.terms(visit)
	}
}

func (j junction) String() string {
	texts := make([]string, len(j.parts))
	for i, part := range j.parts {
		texts[i] = part.String()
	}
	return strings.Join(texts, " "+j.word+" ")
}

func (b bracket) String() string { return "(" + b.filter.String() + ")" }

// mentions says whether a filter has a term on the attribute.
func mentions(f filter, attribute string) bool {
	found := false
	f.terms(func(c comparison) { found = found || c.attribute == attribute })
	return found
}

// parseFilter parses a filter. Its errors say what is wrong, for the detail of
// a 400.
func parseFilter(text string, schema filterSchema) (filter, error) {
	p := &filterParser{rest: text, schema: schema}
	f, err := p.disjunction(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.rest != "" {
		return nil, fmt.Errorf("the filter has %s where it should end", near(p.rest))
	}
	ids := 0
	f.terms(func(c comparison) {
		if c.attribute == "id" {
			ids++
		}
	})
	if ids > maxIDs {
		return nil, errors.New("the filter is too complex: it names too many IDs")
	}
	if schema.groupStatus {
		if err := checkStatusTerms(f); err != nil {
			return nil, err
		}
	}
	return f, nil
}

type filterParser struct {
	rest   string
	schema filterSchema
}

func (p *filterParser) space() { p.rest = strings.TrimLeft(p.rest, " ") }

// word takes the next word: what stands before a space, bracket or quote.
func (p *filterParser) word() string {
	p.space()
	end := strings.IndexAny(p.rest, ` ()"`)
	if end < 0 {
		end = len(p.rest)
	}
	w := p.rest[:end]
	p.rest = p.rest[end:]
	return w
}

// joined parses a chain of parts with one word between them.
func (p *filterParser) joined(word string, part func() (filter, error)) (filter, error) {
	first, err := part()
	if err != nil {
		return nil, err
	}
	parts := []filter{first}
	for {
		before := p.rest
		if !strings.EqualFold(p.word(), word) {
			p.rest = before
			break
		}
		next, err := part()
		if err != nil {
			return nil, err
		}
		parts = append(parts, next)
	}
	if len(parts) == 1 {
		return first, nil
	}
	return junction{word: word, parts: parts}, nil
}

func (p *filterParser) disjunction(depth int) (filter, error) {
	if depth > maxDepth {
		return nil, errors.New("the filter is too complex")
	}
	return p.joined("or", func() (filter, error) {
		return p.joined("and", func() (filter, error) { return p.factor(depth) })
	})
}

func (p *filterParser) factor(depth int) (filter, error) {
	p.space()
	if !strings.HasPrefix(p.rest, "(") {
		return p.comparison()
	}
	p.rest = p.rest[1:]
	f, err := p.disjunction(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.space(); !strings.HasPrefix(p.rest, ")") {
		return nil, fmt.Errorf("the filter lacks a closing bracket before %s", near(p.rest))
	}
	p.rest = p.rest[1:]
	return bracket{f}, nil
}

func (p *filterParser) comparison() (filter, error) {
	name := p.word()
	attr, ok := p.schema.attributes[name]
	if !ok {
		return nil, fmt.Errorf("the filter names %q, which cannot be filtered by", name)
	}
	c := comparison{attribute: name, operator: strings.ToLower(p.word())}
	if c.operator != "eq" && (c.operator != "co" || !attr.contains) {
		return nil, fmt.Errorf("the filter compares %q with %q, which is not supported", name, c.operator)
	}
	var err error
	if c.value, err = p.quoted(); err != nil {
		return nil, err
	}
	if attr.values != nil && !slices.ContainsFunc(attr.values, func(v string) bool { return strings.EqualFold(v, c.value) }) {
		return nil, fmt.Errorf("the filter compares %q with %q, which it cannot be", name, c.value)
	}
	return c, nil
}

// quoted takes a value in double quotes.
func (p *filterParser) quoted() (string, error) {
	p.space()
	if !strings.HasPrefix(p.rest, `"`) {
		return "", fmt.Errorf("the filter has %s where a value in double quotes should stand", near(p.rest))
	}
	var value strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch ch := p.rest[i]; {
		case ch == '"':
			p.rest = p.rest[i+1:]
			if p.rest != "" && !strings.HasPrefix(p.rest, " ") && !strings.HasPrefix(p.rest, ")") {
				return "", fmt.Errorf("the filter has %s right after a value", near(p.rest))
			}
			return value.String(), nil
		case ch == '\\':
			i++
			if i == len(p.rest) || p.rest[i] != '"' && p.rest[i] != '\\' {
				return "", errors.New(`the filter has an escape other than \" and \\`)
			}
			value.WriteByte(p.rest[i])
		case ch < ' ':
			return "", errors.New("the filter has a control character in a value")
		default:
			value.WriteByte(ch)
		}
	}
	return "", errors.New("the filter has a value without a closing quote")
}

// near quotes the beginning of what could not be parsed.
func near(rest string) string {
	if rest == "" {
		return "nothing"
	}
	if r := []rune(rest); len(r) > 20 {
		rest = string(r[:20]) + "…"
	}
	return fmt.Sprintf("%q", rest)
}

var errStatusTerms = errors.New("all terms on status must be grouped together and applied to the whole filter")

// checkStatusTerms enforces filterSchema.groupStatus.
func checkStatusTerms(f filter) error {
	for {
		b, ok := f.(bracket)
		if !ok {
			break
		}
		f = b.filter
	}
	if !mentions(f, "status") || onlyStatus(f) {
		return nil
	}
	all, ok := f.(junction)
	if !ok || all.word != "and" {
		return errStatusTerms
	}
	groups := 0
	for _, part := range all.parts {
		switch {
		case onlyStatus(part):
			groups++
		case mentions(part, "status"):
			return errStatusTerms
		}
	}
	if groups > 1 {
		return errStatusTerms
	}
	return nil
}

func onlyStatus(f filter) bool {
	only := true
	f.terms(func(c comparison) { only = only && c.attribute == "status" })
	return only
}

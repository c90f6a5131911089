package authz

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxSize     = 1 << 20 // bytes of a policy file
	maxDepth    = 12      // the format itself needs 6
	maxProblems = 100     // reported in full; the rest is counted
)

// Load reads a policy file, version 1. When anything in it is wrong, is not
// understood or is not built yet, the error is [Problems] and holds all of it
// (the first hundred in full), and there is no policy. Any other error is a
// fault in known.
func Load(data []byte, known Known) (*Policy, error) {
	if err := known.check(); err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	l := &loader{known: known, commands: keysOf(known.Commands)}
	p := &Policy{known: known.clone()}
	if root := l.parse(data); root != nil {
		l.policy(root, p)
	}
	if len(l.problems) > 0 {
		return nil, l.sorted()
	}
	sum := sha256.Sum256(data)
	p.digest = hex.EncodeToString(sum[:])
	slices.SortFunc(p.rules, func(a, b rule) int { return strings.Compare(a.name, b.name) })
	return p, nil
}

func (k Known) check() error {
	for _, name := range keysOf(k.Commands) {
		c := k.Commands[name]
		switch {
		case name == "" || strings.ContainsAny(name, "*@"):
			return fmt.Errorf("command %q cannot be named in a policy", name)
		case c.Class != Read && c.Class != People && c.Class != Change:
			return fmt.Errorf("command %q has no class", name)
		case c.Class != Change && (c.MayGiveAdmin || c.MayTakeAdmin):
			return fmt.Errorf("command %q changes administrator power and is not a change", name)
		}
	}
	for _, label := range k.Tenants {
		if label == "" || label == "*" {
			return fmt.Errorf("%q is no tenant label", label)
		}
	}
	return nil
}

// loader collects what is wrong while it reads. Its methods report a problem
// and go on, so that one call finds all of them; what they return after a
// problem only has to be good enough not to cause a second one.
type loader struct {
	known    Known
	commands []string // sorted
	groups   map[string]group
	rule     string // the rule that is being read
	problems Problems
	more     int // problems beyond maxProblems
}

// group is a named set of people as far as it could be read.
type group struct {
	set   Set
	whole bool // nothing was wrong with it
}

func (l *loader) problem(line int, format string, args ...any) {
	if len(l.problems) == maxProblems {
		l.more++
		return
	}
	l.problems = append(l.problems, Problem{Line: max(1, line), Rule: l.rule, Text: fmt.Sprintf(format, args...)})
}

// suggest is didYouMean while anybody will read it.
func (l *loader) suggest(written string, words []string) string {
	if len(l.problems) == maxProblems {
		return ""
	}
	return didYouMean(written, words)
}

func (l *loader) sorted() Problems {
	slices.SortStableFunc(l.problems, func(a, b Problem) int { return a.Line - b.Line })
	if l.more > 0 {
		last := l.problems[len(l.problems)-1].Line
		l.problems = append(l.problems, Problem{Line: last, Text: fmt.Sprintf("and %d more problems after these", l.more)})
	}
	return l.problems
}

// parse returns the one document of the file, or nil after reporting why there
// is none.
func (l *loader) parse(data []byte) *yaml.Node {
	switch {
	case len(data) > maxSize:
		l.problem(1, "the file has %d bytes; a policy may have %d at most", len(data), maxSize)
		return nil
	case !utf8.Valid(data):
		l.problem(1+bytes.Count(data[:firstInvalid(data)], []byte("\n")), "the file is not UTF-8 text")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		l.problem(1, "the file is empty; a policy begins with \"version: 1\"")
		return nil
	} else if err != nil {
		l.syntax(err)
		return nil
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case err == nil:
		l.problem(second.Line, "a second YAML document begins here; a policy is one document")
	case !errors.Is(err, io.EOF):
		l.syntax(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		l.problem(doc.Line, "the file holds no YAML document")
		return nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		l.problem(root.Line, "the file is empty; a policy begins with \"version: 1\"")
		return nil
	}
	return root
}

func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(data)
}

// syntax reports an error of the YAML parser, which gives the line in its text
// only.
func (l *loader) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if _, scanErr := fmt.Sscanf(text, "line %d:", &line); scanErr == nil {
		_, text, _ = strings.Cut(text, ": ")
	}
	l.problem(line, "this is not YAML: %s", text)
}

// check refuses, anywhere below n, what YAML offers and a policy has no use
// for: anchors, aliases, merge keys, tags, keys that are not text, keys that
// stand twice, and depth. It does not descend into skip.
func (l *loader) check(n, skip *yaml.Node, depth int) {
	if depth > maxDepth {
		l.problem(n.Line, "this is nested too deeply for a policy")
		return
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		l.problem(n.Line, "anchors and aliases (& and *) are not read in a policy; write it out, or in quotes if text was meant")
	}
	if n.Style&yaml.TaggedStyle != 0 {
		l.problem(n.Line, "tags such as %s are not read in a policy", quote(n.Tag))
	}
	if n == skip {
		return
	}
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			l.check(c, skip, depth+1)
		}
		return
	}
	first := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		l.check(key, skip, depth+1)
		switch line, seen := first[key.Value]; {
		case key.Kind == yaml.AliasNode:
		case key.Kind == yaml.ScalarNode && key.Tag == "!!merge":
			l.problem(key.Line, "merge keys (<<) are not read in a policy; write the keys out")
		case key.Kind != yaml.ScalarNode:
			l.problem(key.Line, "a key must be text")
		case seen:
			l.problem(key.Line, "%s stands here a second time; the first is in line %d", quote(key.Value), line)
		default:
			first[key.Value] = key.Line
		}
		l.check(value, skip, depth+1)
	}
}

// field is one key of a mapping with its value.
type field struct {
	line  int // of the key
	value *yaml.Node
}

// fields reads a mapping whose keys are known and reports the others. It is nil
// when n is no mapping, which it reports as well.
func (l *loader) fields(n *yaml.Node, what string, keys []string, notBuilt ...string) map[string]field {
	if !l.isKind(n, yaml.MappingNode, what, "a mapping (key: value)") {
		return nil
	}
	all := slices.Concat(keys, notBuilt)
	out := make(map[string]field)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			continue // reported by check
		}
		if _, seen := out[key.Value]; seen {
			continue // reported by check
		}
		switch {
		case slices.Contains(notBuilt, key.Value):
			l.problem(key.Line, "%s is not built yet; the policy is refused because reading it without %s would change what it means", quote(key.Value), quote(key.Value))
		case !slices.Contains(keys, key.Value):
			l.problem(key.Line, "%s is not a key of %s.%s", quote(key.Value), what, l.suggest(key.Value, all))
			continue
		}
		out[key.Value] = field{line: key.Line, value: value}
	}
	return out
}

// isKind reports a node of another kind, except an alias, which check reports.
func (l *loader) isKind(n *yaml.Node, kind yaml.Kind, what, wanted string) bool {
	if n.Kind == kind {
		return true
	}
	if n.Kind != yaml.AliasNode {
		l.problem(n.Line, "%s must be %s", what, wanted)
	}
	return false
}

// text reads a string of one printable line that is not blank.
func (l *loader) text(n *yaml.Node, what string, most int) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
			l.problem(n.Line, "%s must be text; write %s in quotes", what, quote(n.Value))
		} else if n.Kind != yaml.AliasNode {
			l.problem(n.Line, "%s must be text", what)
		}
		return "", false
	}
	switch {
	case strings.TrimSpace(n.Value) == "":
		l.problem(n.Line, "%s is empty", what)
	case n.Value != strings.TrimSpace(n.Value):
		l.problem(n.Line, "%s begins or ends with a space: %s", what, quote(n.Value))
	case utf8.RuneCountInString(n.Value) > most:
		l.problem(n.Line, "%s is longer than %d characters", what, most)
	case strings.ContainsFunc(n.Value, func(r rune) bool { return !unicode.IsPrint(r) }):
		l.problem(n.Line, "%s has characters that cannot be seen, or more than one line: %s", what, quote(n.Value))
	default:
		return n.Value, true
	}
	return "", false
}

// word is an element of a list.
type word struct {
	line int
	text string
}

// words reads a list of strings and reports one that is empty, and elements
// that stand twice. whole is false when anything was wrong.
func (l *loader) words(n *yaml.Node, what, example string) (out []word, whole bool) {
	if !l.isKind(n, yaml.SequenceNode, what, "a list, such as "+example) {
		return nil, false
	}
	if len(n.Content) == 0 {
		l.problem(n.Line, "%s is an empty list", what)
		return nil, false
	}
	whole = true
	seen := make(map[string]bool)
	for _, c := range n.Content {
		text, ok := l.text(c, "an entry of "+what, 100)
		switch {
		case !ok:
			whole = false
		case seen[text]:
			l.problem(c.Line, "%s stands twice in %s", quote(text), what)
			whole = false
		default:
			seen[text] = true
			out = append(out, word{line: c.Line, text: text})
		}
	}
	return out, whole
}

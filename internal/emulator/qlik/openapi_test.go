package qlik_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// openAPI is one OpenAPI 3.0 description, as far as the checks need it.
type openAPI struct {
	Paths      map[string]map[string]*operation `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	Parameters []struct {
		In       string  `json:"in"`
		Name     string  `json:"name"`
		Required bool    `json:"required"`
		Schema   *schema `json:"schema"`
	} `json:"parameters"`
	RequestBody *struct {
		Content map[string]media `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]media    `json:"content"`
		Headers map[string]struct{} `json:"headers"`
	} `json:"responses"`
	Tier struct {
		Tier string `json:"tier"`
	} `json:"x-qlik-tier"`
}

type media struct {
	Schema *schema `json:"schema"`
}

type schema struct {
	Ref        string             `json:"$ref"`
	Type       string             `json:"type"`
	Format     string             `json:"format"`
	Pattern    string             `json:"pattern"`
	Enum       []any              `json:"enum"`
	Required   []string           `json:"required"`
	Properties map[string]*schema `json:"properties"`
	Items      *schema            `json:"items"`
	OneOf      []*schema          `json:"oneOf"`
	AnyOf      []*schema          `json:"anyOf"`
	AllOf      []*schema          `json:"allOf"`
	Nullable   bool               `json:"nullable"`
	Minimum    *float64           `json:"minimum"`
	Maximum    *float64           `json:"maximum"`
	MinLength  *int               `json:"minLength"`
	MaxLength  *int               `json:"maxLength"`
	MinItems   *int               `json:"minItems"`
	MaxItems   *int               `json:"maxItems"`
}

// descriptions reads Qlik's OpenAPI files where this checkout has them beside
// it. They are not part of the product; without them the test is skipped.
func descriptions(t *testing.T) map[string]*openAPI {
	t.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		up := filepath.Dir(root)
		if up == root {
			t.Fatal("the root of the module was not found")
		}
		root = up
	}
	dir := filepath.Join(root, "..", "shared", "reference", "qlik-openapi")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("Qlik's OpenAPI files are not at ../shared/reference/qlik-openapi beside the repository; put them there to run this test")
	}
	docs := map[string]*openAPI{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc := &openAPI{}
		if err := json.Unmarshal(raw, doc); err != nil {
			t.Fatalf("%s: %v", filepath.Base(file), err)
		}
		docs[filepath.Base(file)] = doc
	}
	return docs
}

// checker checks values against the schemas of one description.
type checker struct {
	doc *openAPI
	// closed: a property that is not described is a finding. The descriptions
	// never forbid one, but here it is most likely a misspelt name.
	closed bool
}

// resolve follows references. It gives nil for a schema that says nothing.
func (c checker) resolve(s *schema) *schema {
	for s != nil && s.Ref != "" {
		s = c.doc.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	return s
}

// check returns what is wrong with v, each finding as "pointer: what".
func (c checker) check(s *schema, v any, at string) []string {
	found := c.shape(s, v, at)
	if c.closed {
		found = append(found, c.unknown([]*schema{s}, v, at)...)
	}
	return found
}

func (c checker) shape(s *schema, v any, at string) []string {
	if s = c.resolve(s); s == nil {
		return nil
	}
	var found []string
	say := func(format string, args ...any) { found = append(found, at+": "+fmt.Sprintf(format, args...)) }
	if v == nil {
		if !s.Nullable && s.Type != "" {
			say("null")
		}
		return found
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		say("%v is not in the enum", v)
	}
	switch value := v.(type) {
	case string:
		if s.Type != "" && s.Type != "string" {
			say("a string instead of %s", s.Type)
		}
		n := utf8.RuneCountInString(value)
		if s.MinLength != nil && n < *s.MinLength || s.MaxLength != nil && n > *s.MaxLength {
			say("a string of length %d", n)
		}
		if s.Pattern != "" && !regexp.MustCompile(strings.ReplaceAll(s.Pattern, `\<`, `<`)).MatchString(value) {
			say("%q does not have the pattern", value)
		}
		layout := map[string]string{"date-time": time.RFC3339, "date": time.DateOnly}[s.Format]
		if _, err := time.Parse(layout, value); layout != "" && err != nil {
			say("%q is no %s", value, s.Format)
		}
	case bool:
		if s.Type != "" && s.Type != "boolean" {
			say("a boolean instead of %s", s.Type)
		}
	case float64:
		if s.Type != "" && s.Type != "number" && s.Type != "integer" || s.Type == "integer" && value != math.Trunc(value) {
			say("the number %v instead of %s", value, s.Type)
		}
		if s.Minimum != nil && value < *s.Minimum || s.Maximum != nil && value > *s.Maximum {
			say("%v is out of range", value)
		}
	case []any:
		if s.Type != "" && s.Type != "array" {
			say("an array instead of %s", s.Type)
		}
		if s.MinItems != nil && len(value) < *s.MinItems || s.MaxItems != nil && len(value) > *s.MaxItems {
			say("%d items", len(value))
		}
		for i, item := range value {
			found = append(found, c.shape(s.Items, item, at+"/"+strconv.Itoa(i))...)
		}
	case map[string]any:
		if s.Type != "" && s.Type != "object" {
			say("an object instead of %s", s.Type)
		}
		for _, name := range s.Required {
			if _, ok := value[name]; !ok {
				say("%s is missing", name)
			}
		}
		for name, property := range s.Properties {
			if item, ok := value[name]; ok {
				found = append(found, c.shape(property, item, at+"/"+name)...)
			}
		}
	}
	for _, part := range s.AllOf {
		found = append(found, c.shape(part, v, at)...)
	}
	// oneOf counts as anyOf: the alternatives overlap in these files, so that
	// their own examples would fail.
	for _, choice := range [][]*schema{s.OneOf, s.AnyOf} {
		if len(choice) == 0 {
			continue
		}
		var closest []string
		for i, part := range choice {
			if misfits := c.shape(part, v, at); i == 0 || len(misfits) < len(closest) {
				closest = misfits
			}
		}
		found = append(found, closest...)
	}
	return found
}

// unknown finds properties that none of the schemas describes. Alternatives
// count together.
func (c checker) unknown(schemas []*schema, v any, at string) []string {
	var all []*schema
	for queue := schemas; len(queue) > 0; queue = queue[1:] {
		if s := c.resolve(queue[0]); s != nil {
			all = append(all, s)
			queue = slices.Concat(queue, s.OneOf, s.AnyOf, s.AllOf)
		}
	}
	var found []string
	switch value := v.(type) {
	case map[string]any:
		described, properties := false, map[string][]*schema{}
		for _, s := range all {
			described = described || s.Properties != nil
			for name, property := range s.Properties {
				properties[name] = append(properties[name], property)
			}
		}
		if !described {
			return nil // an object of any kind
		}
		for name, item := range value {
			if properties[name] == nil {
				found = append(found, at+"/"+name+": not described")
				continue
			}
			found = append(found, c.unknown(properties[name], item, at+"/"+name)...)
		}
	case []any:
		var items []*schema
		for _, s := range all {
			if s.Items != nil {
				items = append(items, s.Items)
			}
		}
		for i, item := range value {
			found = append(found, c.unknown(items, item, at+"/"+strconv.Itoa(i))...)
		}
	}
	return found
}

func TestTheSchemaCheckerFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	doc := &openAPI{}
	if err := json.Unmarshal([]byte(`{"components":{"schemas":{
		"Thing":{"type":"object","required":["id"],"properties":{
			"id":{"type":"string","minLength":2},"kind":{"enum":["a","b"],"type":"string"},"n":{"type":"integer","maximum":9},
			"when":{"type":"string","format":"date-time"},"parts":{"type":"array","items":{"$ref":"#/components/schemas/Thing"}},
			"either":{"oneOf":[{"type":"string"},{"type":"boolean"}]},"name":{"type":"string","nullable":true}}},
		"Both":{"allOf":[{"$ref":"#/components/schemas/Thing"},{"type":"object","properties":{"extra":{"type":"boolean"}}}]}}}}`), doc); err != nil {
		t.Fatal(err)
	}
	c := checker{doc: doc, closed: true}
	for value, want := range map[string]string{
		`{"id":"42","kind":"a","n":1,"when":"2026-01-02T03:04:05Z","parts":[{"id":"43"}],"either":true,"name":null,"extra":true}`: "",
		`{}`:                                      ": id is missing",
		`{"id":"1"}`:                              "/id: a string of length 1",
		`{"id":42}`:                               "/id: the number 42 instead of string",
		`{"id":null}`:                             "/id: null",
		`{"id":"42","kind":"c"}`:                  "/kind: c is not in the enum",
		`{"id":"42","n":1.5}`:                     "/n: the number 1.5 instead of integer",
		`{"id":"42","n":10}`:                      "/n: 10 is out of range",
		`{"id":"42","when":"today"}`:              `/when: "today" is no date-time`,
		`{"id":"42","parts":[{}]}`:                "/parts/0: id is missing",
		`{"id":"42","parts":{}}`:                  "/parts: an object instead of array",
		`{"id":"42","either":1}`:                  "/either: the number 1 instead of string",
		`{"id":"42","extra":"x"}`:                 "/extra: a string instead of boolean",
		`{"id":"42","Id":"43"}`:                   "/Id: not described",
		`{"id":"42","parts":[{"id":"43","x":1}]}`: "/parts/0/x: not described",
		`[]`: ": an array instead of object",
	} {
		var v any
		if err := json.Unmarshal([]byte(value), &v); err != nil {
			t.Fatal(err)
		}
		found := c.check(&schema{Ref: "#/components/schemas/Both"}, v, "")
		if got := strings.Join(slices.Compact(found), "; "); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: found %q, want %q", value, got, want)
		}
	}
}

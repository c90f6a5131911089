package qlik

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// specDir is where Qlik's OpenAPI files lie beside a checkout that has them.
const specDir = "../../../shared/reference/qlik-openapi"

func TestEveryOperationIsOneOfQliksOwn(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(specDir); errors.Is(err, fs.ErrNotExist) {
		t.Skip("Qlik's OpenAPI files are not beside this checkout; put them into ../shared/reference/qlik-openapi to check the operations against them")
	}
	type described struct {
		Tier struct {
			Tier  string `json:"tier"`
			Limit int    `json:"limit"`
		} `json:"x-qlik-tier"`
		Deprecated bool                       `json:"x-qlik-deprecated"`
		Responses  map[string]json.RawMessage `json:"responses"`
	}
	known := map[string]described{}
	files, err := filepath.Glob(filepath.Join(specDir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no OpenAPI files in %s: %v", specDir, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Paths map[string]map[string]json.RawMessage `json:"paths"`
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for path, methods := range doc.Paths {
			for method, raw := range methods {
				var d described
				if json.Unmarshal(raw, &d) == nil {
					known[strings.ToUpper(method)+" "+path] = d
				}
			}
		}
	}
	for _, op := range Operations() {
		d, ok := known[op.Method+" "+op.Path]
		switch {
		case !ok:
			t.Errorf("%s: %s %s is not described", op.Name, op.Method, op.Path)
			continue
		case d.Deprecated:
			t.Errorf("%s is deprecated", op.Name)
		case d.Tier.Tier != op.Tier.Name || d.Tier.Limit != op.Tier.PerMinute:
			t.Errorf("%s: described as %+v, has %+v", op.Name, d.Tier, op.Tier)
		}
		// The first status of Success is the described one; a redirect leads to it.
		_, direct := d.Responses[strconv.Itoa(op.Success[0])]
		_, found := d.Responses["302"]
		if !direct && !found {
			t.Errorf("%s: %d is not described", op.Name, op.Success[0])
		}
	}
}

func TestOperationsAreToldApartAndWritesAreNotRepeated(t *testing.T) {
	t.Parallel()
	var names []string
	for _, op := range Operations() {
		if slices.Contains(names, op.Name) {
			t.Errorf("two operations are called %s", op.Name)
		}
		names = append(names, op.Name)
		if !op.ReadOnly && op.Retry != RetryNever {
			t.Errorf("%s writes and would be repeated", op.Name)
		}
		if op.ReadOnly != (op.Method == http.MethodGet) && op.Name != opToken.Name {
			t.Errorf("%s: is it read-only?", op.Name)
		}
	}
	ops := Operations()
	ops[0].Name = "changed"
	if Operations()[0].Name == "changed" {
		t.Error("the list of operations can be changed from outside")
	}
}

func TestPathElementsCannotReachElsewhere(t *testing.T) {
	t.Parallel()
	base := &url.URL{Scheme: "https", Host: "t.example.com"}
	for id, want := range map[string]string{
		"abc-DEF_1":        "https://t.example.com/api/v1/users/abc-DEF_1",
		"a/b":              "https://t.example.com/api/v1/users/a%2Fb",
		"a?b=c#d":          "https://t.example.com/api/v1/users/a%3Fb=c%23d",
		"100%":             "https://t.example.com/api/v1/users/100%25",
		"%2e%2e":           "https://t.example.com/api/v1/users/%252e%252e",
		"{userId}":         "https://t.example.com/api/v1/users/%7BuserId%7D",
		"a b":              "https://t.example.com/api/v1/users/a%20b",
		"...":              "https://t.example.com/api/v1/users/...",
		"":                 "",
		".":                "",
		"..":               "",
		"../roles":         "",
		`..\roles`:         "",
		"a/../../../oauth": "",
	} {
		u, err := opUsersGet.address(base, []string{id}, nil)
		switch {
		case want == "":
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%q: %v, %v", id, u, err)
			}
		case err != nil || u.String() != want:
			t.Errorf("%q: %v, %v; want %s", id, u, err, want)
		}
	}
	for _, elements := range [][]string{nil, {"a", "b"}} {
		if _, err := opUsersGet.address(base, elements, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", elements, err)
		}
	}
}

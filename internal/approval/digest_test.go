package approval_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/qlik-chatops/bot/internal/approval"
)

func digest(t testing.TB, p approval.Plan) string {
	t.Helper()
	d, err := p.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// matters says of every field of a plan whether it is part of what people
// decide on. A new field must be put in one list or the other.
var matters = map[string]bool{
	"Command": true, "Tenant": true, "Steps": true,
	"Title": false, "Targets": false, "Facts": false, "Notes": false, "Nothing": false,

	"Steps.Kind": true, "Steps.Tenant": true, "Steps.Object": true, "Steps.Params": true, "Steps.Before": true,
	"Steps.GivesAdmin": true, "Steps.TakesAdmin": true,
	"Steps.Line": false, "Steps.Changes": false,
}

// changed is another value than v's.
func changed(v reflect.Value) reflect.Value {
	switch x := v.Interface().(type) {
	case json.RawMessage:
		return reflect.ValueOf(json.RawMessage(fmt.Sprintf(`{"was":%s}`, orNull(x))))
	case string:
		return reflect.ValueOf(x + "x").Convert(v.Type())
	case bool:
		return reflect.ValueOf(!x)
	}
	if v.Kind() == reflect.Slice {
		return reflect.Append(v.Slice3(0, v.Len(), v.Len()), reflect.Zero(v.Type().Elem()))
	}
	panic("say here how to change " + v.Type().String())
}

func orNull(x json.RawMessage) json.RawMessage {
	if len(x) == 0 {
		return json.RawMessage("null")
	}
	return x
}

func TestTheDigestChangesWithWhatMattersAndWithNothingElse(t *testing.T) {
	t.Parallel()
	original := digest(t, plan())
	try := func(name string, change func(p *approval.Plan)) {
		t.Helper()
		want, known := matters[name]
		if !known {
			t.Errorf("%s is new: say in this test whether it matters", name)
			return
		}
		p := plan()
		change(&p)
		if got := digest(t, p) != original; got != want {
			t.Errorf("%s was changed: the digest changed %v, want %v", name, got, want)
		}
	}
	for i := range reflect.TypeFor[approval.Plan]().NumField() {
		try(reflect.TypeFor[approval.Plan]().Field(i).Name, func(p *approval.Plan) {
			f := reflect.ValueOf(p).Elem().Field(i)
			f.Set(changed(f))
		})
	}
	for i := range reflect.TypeFor[approval.Step]().NumField() {
		for step := range plan().Steps {
			try("Steps."+reflect.TypeFor[approval.Step]().Field(i).Name, func(p *approval.Plan) {
				f := reflect.ValueOf(&p.Steps[step]).Elem().Field(i)
				f.Set(changed(f))
			})
		}
	}
	try("Steps", func(p *approval.Plan) { p.Steps = p.Steps[:1] })
	try("Steps", func(p *approval.Plan) { p.Steps[0], p.Steps[1] = p.Steps[1], p.Steps[0] })
	try("Steps", func(p *approval.Plan) { p.Steps = append(p.Steps, p.Steps[0]) })
	try("Steps.Params", func(p *approval.Plan) { p.Steps[0].Params = nil })
	try("Steps.Before", func(p *approval.Plan) {
		p.Steps[0].Params, p.Steps[0].Before = p.Steps[0].Before, p.Steps[0].Params
	})
}

// TestEveryValueDeepInAStepMatters changes one leaf after the other.
func TestEveryValueDeepInAStepMatters(t *testing.T) {
	t.Parallel()
	docs := []string{
		`{"a":[1,2,{"b":"x"}],"c":null,"d":true,"e":-9007199254740991,"f":9007199254740991,"g":0.1,"é":"ü"}`,
		`{"a":[2,1,{"b":"x"}],"c":null,"d":true,"e":-9007199254740991,"f":9007199254740991,"g":0.1,"é":"ü"}`,
		`{"a":[1,2,{"b":"X"}],"c":null,"d":true,"e":-9007199254740991,"f":9007199254740991,"g":0.1,"é":"ü"}`,
		`{"a":[1,2,{"b":"x"}],"d":true,"e":-9007199254740991,"f":9007199254740991,"g":0.1,"é":"ü"}`,
		`{"a":[1,2,{"b":"x"}],"c":null,"d":"true","e":-9007199254740991,"f":9007199254740991,"g":0.1,"é":"ü"}`,
		`{"a":[1,2,{"b":"x"}],"c":null,"d":true,"e":-9007199254740990,"f":9007199254740991,"g":0.1,"é":"ü"}`,
		`{"a":[1,2,{"b":"x"}],"c":null,"d":true,"e":-9007199254740991,"f":9007199254740990,"g":0.1,"é":"ü"}`,
		`{"a":[1,2,{"b":"x"}],"c":null,"d":true,"e":-9007199254740991,"f":9007199254740991,"g":0.2,"é":"ü"}`,
		`{"a":[1,2,{"b":"x"}],"c":null,"d":true,"e":-9007199254740991,"f":9007199254740991,"g":0.1,"e\u0301":"ü"}`,
	}
	seen := map[string]int{}
	for i, doc := range docs {
		p := plan()
		p.Steps[0].Params = json.RawMessage(doc)
		d := digest(t, p)
		if j, twice := seen[d]; twice {
			t.Errorf("%s and %s have one digest", docs[j], doc)
		}
		seen[d] = i
	}
}

func TestTheDigestIsOfTheMeaningAndNotOfItsSpelling(t *testing.T) {
	t.Parallel()
	p := plan()
	p.Steps[0].Params = json.RawMessage("{ \"roles\" : [\"\\u0054enantAdmin\"],\n\"subject\":\"idp\\\\eve\" }")
	if digest(t, p) != digest(t, plan()) {
		t.Error("order, spaces and escapes change the digest")
	}
	// The way through a database and back is such a change of spelling.
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var read approval.Plan
	if err := json.Unmarshal(b, &read); err != nil {
		t.Fatal(err)
	}
	if digest(t, read) != digest(t, p) {
		t.Error("the digest changes on the way through JSON")
	}
}

func TestWhatTwoPlansCouldShareHasNoDigest(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*approval.Plan){
		"a number that a double does not tell from its neighbour": func(p *approval.Plan) { p.Steps[0].Params = json.RawMessage(`{"a":[9007199254740992]}`) },
		"the same below zero":  func(p *approval.Plan) { p.Steps[0].Before = json.RawMessage(`-9007199254740993`) },
		"a very long number":   func(p *approval.Plan) { p.Steps[0].Before = json.RawMessage(strings.Repeat("9", 400)) },
		"a key twice":          func(p *approval.Plan) { p.Steps[0].Params = json.RawMessage(`{"a":1,"a":2}`) },
		"half a document":      func(p *approval.Plan) { p.Steps[0].Params = json.RawMessage(`{"a":`) },
		"two documents":        func(p *approval.Plan) { p.Steps[0].Params = json.RawMessage(`{} {}`) },
		"text that is not one": func(p *approval.Plan) { p.Steps[0].Params = json.RawMessage("\"\xff\"") },
		"such text in a name":  func(p *approval.Plan) { p.Steps[1].Kind = "\xfe" },
		"such a tenant":        func(p *approval.Plan) { p.Tenant = "\xfe" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plan()
			spoil(&p)
			if d, err := p.Digest(); err == nil {
				t.Errorf("it has the digest %s", d)
			}
		})
	}
}

// TestTheDigestOfAKnownPlanStays is what approvals that wait in a database
// while the program is replaced rely on.
func TestTheDigestOfAKnownPlanStays(t *testing.T) {
	t.Parallel()
	const want = "6b3500b129dc1f19d1f8de68d8c3b37837d1ccfe38a53efb6f072c5b3bd4eae5"
	if got := digest(t, plan()); got != want {
		t.Errorf("the digest is %s, want %s", got, want)
	}
}

func TestAPlanGivesOrTakesAdminWhenAnyStepDoes(t *testing.T) {
	t.Parallel()
	p := plan()
	if !p.GivesAdmin() || p.TakesAdmin() {
		t.Error("the first step gives, and none takes")
	}
	p.Steps[0].GivesAdmin, p.Steps[1].TakesAdmin = false, true
	if p.GivesAdmin() || !p.TakesAdmin() {
		t.Error("the last step takes, and none gives")
	}
}

func FuzzADigestSurvivesTheWayThroughJSON(f *testing.F) {
	f.Add("eve@example.com", `{"a":1}`)
	f.Add("\u2028<&>", `{"a":[null,true,1e3,-0,"\ud83d\ude00"]}`)
	f.Add("", `"text"`)
	f.Fuzz(func(t *testing.T, object, params string) {
		p := approval.Plan{Command: "c", Steps: []approval.Step{{Object: object, Params: json.RawMessage(params)}}}
		want, err := p.Digest()
		if err != nil {
			t.Skip("it has none")
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var read approval.Plan
		if err := json.Unmarshal(b, &read); err != nil {
			t.Fatal(err)
		}
		if got := digest(t, read); got != want {
			t.Fatalf("%s became %s", want, got)
		}
	})
}

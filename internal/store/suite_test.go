package store_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/audit"
	"github.com/qlik-chatops/bot/internal/store"
)

// engine is one kind of database that the suite runs on.
type engine struct {
	// fresh is the address of an empty database, gone after the test.
	fresh func(testing.TB) string
	// raw opens the same database past the store, as an intruder would.
	raw func(testing.TB, string) *sql.DB
	// single says that one process at a time has the database, so that
	// opening it frees what another one had claimed.
	single bool
}

var sqliteEngine = engine{
	fresh: func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "bot.db") },
	raw: func(t testing.TB, address string) *sql.DB {
		u := url.URL{Scheme: "file", Path: strings.TrimPrefix(address, "sqlite:")}
		db, err := sql.Open("sqlite", u.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	},
	single: true,
}

// TestSQLite runs the suite that every engine has to pass.
func TestSQLite(t *testing.T) {
	t.Parallel()
	suite(t, sqliteEngine)
}

func suite(t *testing.T, e engine) {
	for _, tests := range []map[string]func(*testing.T, *database){
		requestTests, effectTests, queueTests, laneTests, purgeTests, recordTests,
	} {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { test(t, open(t, e)) })
			})
		}
	}
}

// database is a store under test.
type database struct {
	*store.Store
	engine  engine
	address string
}

func open(t testing.TB, e engine) *database {
	t.Helper()
	d := &database{engine: e, address: e.fresh(t)}
	d.Store = reopened(t, d.address)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// restart ends the process, as far as the database can see, and starts anew.
func (d *database) restart(t testing.TB) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	d.Store = reopened(t, d.address)
}

func reopened(t testing.TB, address string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: address})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("the error is %v, want %v", err, want)
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s differs (-want +got):\n%s", what, diff)
	}
}

func (d *database) create(t testing.TB, id string, effects approval.Effects) approval.Request {
	t.Helper()
	r := approval.Request{
		ID: id, Version: 1, State: approval.Waiting,
		Caller:  approval.Identity{Team: "T1", User: "U0ANA"},
		Command: "space create", Tenant: "prod",
		Plan: approval.Plan{
			Command: "space create", Tenant: "prod", Title: "Space Sales will exist on prod.",
			Steps: []approval.Step{{Kind: "create-space", Tenant: "prod", Object: "Sales", Params: json.RawMessage(`{"name":"Sales"}`)}},
		},
		CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
	}
	check(t, d.CreateRequest(t.Context(), r, effects))
	return r
}

// put adds tasks.
func (d *database) put(t testing.TB, tasks ...approval.Task) {
	t.Helper()
	check(t, d.Append(t.Context(), approval.Effects{Tasks: tasks}))
}

func task(key string, at time.Time) approval.Task {
	kind, _, _ := strings.Cut(key, ":")
	return approval.Task{Key: key, Kind: kind, RunAt: at}
}

var kinds = []string{"run", "card", "slack"}

const lease = time.Minute

// claims takes a task and fails when there is none.
func (d *database) claims(t testing.TB) approval.Claim {
	t.Helper()
	c, ok, err := d.Claim(t.Context(), kinds, lease)
	check(t, err)
	if !ok {
		t.Fatal("no task could be claimed")
	}
	return c
}

func (d *database) claimsKey(t testing.TB, key string) approval.Claim {
	t.Helper()
	c := d.claims(t)
	if c.Key != key {
		t.Fatalf("claimed %s, want %s", c.Key, key)
	}
	return c
}

func (d *database) claimsNothing(t testing.TB) {
	t.Helper()
	c, ok, err := d.Claim(t.Context(), kinds, lease)
	check(t, err)
	if ok {
		t.Fatalf("claimed %s, want nothing", c.Key)
	}
}

func (d *database) finishes(t testing.TB, c approval.Claim) {
	t.Helper()
	check(t, d.Append(t.Context(), approval.Effects{Finish: &c}))
}

func (d *database) chain(t testing.TB, f store.RecordFilter) []audit.Record {
	t.Helper()
	var list []audit.Record
	for r, err := range d.Records(t.Context(), f) {
		check(t, err)
		list = append(list, r)
	}
	return list
}

// verified is the chain's length once it has been verified.
func (d *database) verified(t testing.TB) int64 {
	t.Helper()
	head, err := audit.Verify(d.Records(t.Context(), store.RecordFilter{}))
	check(t, err)
	same(t, "head", must(d.AuditHead(t.Context())), head)
	return head.Seq
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// filler makes values of any type; none of its values is a zero value, so
// that a field which is not stored shows.
type filler struct{ *rand.Rand }

var oddTexts = []string{
	"plain", "Zoë 👩‍💻", "a\nb\tc", `"quoted" \ 'single'`, "<b>&amp;</b>", "\u2028\u2029\u202e", "$1 ?1 %_", "null", " ",
	"\U0010FFFF\uFFFD", strings.Repeat("long ", 3000),
}

var oddJSON = []string{`{}`, `[]`, `null`, `"text"`, `0`, `{"a":{"b":[1,2.5,-3e9,true,null,"<x>"]},"":"ü"}`}

func (f filler) value(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch t {
	case reflect.TypeFor[time.Time]():
		ms := f.Int64N(4e12) + 1
		v.Set(reflect.ValueOf(time.UnixMilli(ms).UTC()))
		return v
	case reflect.TypeFor[json.RawMessage]():
		v.SetBytes([]byte(oddJSON[f.IntN(len(oddJSON))]))
		return v
	}
	switch t.Kind() {
	case reflect.String:
		v.SetString(oddTexts[f.IntN(len(oddTexts))])
	case reflect.Int, reflect.Int64:
		v.SetInt(f.Int64N(1<<40) + 1)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		for range f.IntN(3) + 1 {
			v.Set(reflect.Append(v, f.value(t.Elem())))
		}
	case reflect.Struct:
		for i := range t.NumField() {
			v.Field(i).Set(f.value(t.Field(i).Type))
		}
	default:
		panic(fmt.Sprintf("a field of type %v: say here how to fill it", t))
	}
	return v
}

// request fills every field, and leaves some lists out when sparse.
func (f filler) request(id string, sparse bool) approval.Request {
	r := f.value(reflect.TypeFor[approval.Request]()).Interface().(approval.Request)
	r.ID = id
	if sparse {
		for _, drop := range []func(){
			func() { r.Decisions = nil },
			func() { r.Steps = r.Steps[:f.IntN(len(r.Steps))] },
			func() { r.Cards = nil },
			func() { r.Demands = nil },
			func() { r.Plan = approval.Plan{} },
			func() { r.Args = nil },
			func() { r.EndedAt, r.ExecuteBy = time.Time{}, time.Time{} },
			func() { r.Steps = append(r.Steps, approval.StepRecord{}) },
			func() { r.Decisions = append(r.Decisions, approval.Decision{}) },
		} {
			if f.IntN(3) == 0 {
				drop()
			}
		}
	}
	return r
}

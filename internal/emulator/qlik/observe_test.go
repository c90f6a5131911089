package qlik_test

import (
	"bytes"
	"fmt"
	"go/build"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/emulator/qlik"
)

func TestNoSecretReachesTheRecordOrTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		tn := newTenant(t, func(c *qlik.Config) {
			c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		tn.send("POST", "/oauth/token", "application/x-www-form-urlencoded", url.Values{
			"client_id": {clientID}, "client_secret": {clientSecret}, "grant_type": {"client_credentials"},
		}.Encode()).want(http.StatusOK)
		tn.post("/oauth/token", map[string]string{"clientId": clientID, "clientSecret": clientSecret})
		tn.send("POST", "/oauth/token", "text/plain", "my secret is "+clientSecret)
		tn.post("/oauth/token", tokenForm(map[string]string{"client_secret": "", "client_assertion": clientSecret}))
		tn.post("/oauth/revoke", map[string]string{"token": tn.token})
		for _, c := range tn.Calls() {
			for _, secret := range []string{clientSecret, tn.token} {
				if strings.Contains(fmt.Sprintf("%+v", c), secret) {
					t.Errorf("the record of %s shows a secret: %s", c.Operation, c.Body)
				}
			}
		}
		if body := tn.Calls()[0].Body; !strings.Contains(body, clientID) || !strings.Contains(body, "client_credentials") {
			t.Errorf("the record hides more than the secret: %s", body)
		}
		for _, secret := range []string{clientSecret, tn.token} {
			if strings.Contains(log.String(), secret) {
				t.Error("the log shows a secret")
			}
		}
		if !strings.Contains(log.String(), "POST /oauth/token") {
			t.Error("the log does not show the calls")
		}
	})
}

func TestTheRecordSaysWhichCallsChangedSomething(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.get("/api/v1/users?limit=5")
		tn.post("/api/v1/users", map[string]string{"subject": "s", "name": "Ana", "status": "active"})
		tn.post("/api/v1/users", map[string]string{"subject": "s", "status": "active"})
		tn.get("/nowhere")
		tn.send("PUT", "/api/v1/users", "application/json", nil)
		type line struct {
			operation, query string
			status           int
			write            bool
			effect           qlik.EffectState
			client           string
			changes          int
		}
		want := []line{
			{"POST /oauth/token", "", 200, true, qlik.EffectDone, clientID, 2},
			{"GET /api/v1/users", "limit=5", 200, false, qlik.EffectNone, clientID, 0},
			{createOp, "", 201, true, qlik.EffectDone, clientID, 1},
			{createOp, "", 409, true, qlik.EffectNone, clientID, 0},
			{"", "", 404, false, qlik.EffectNone, "", 0},
			{"", "", 405, false, qlik.EffectNone, "", 0},
		}
		var got []line
		for _, c := range tn.Calls() {
			got = append(got, line{c.Operation, c.Query, c.Status, c.Write, c.Effect, c.ClientID, len(c.Changes)})
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{})); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestAnUnknownPathIsA404InQliksEnvelope(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		for _, path := range []string{"/", "/api/v1", "/api/v1/users/", "/api/v1/nothing", "/api/v1/users/x/y", "/oauth/authorize"} {
			if res := tn.get(path).want(http.StatusNotFound); res.problem()["title"] == nil || res.doc["traceId"] == nil {
				t.Errorf("%s: %s", path, res.raw)
			}
		}
	})
}

func TestSubscribersSeeCallsChangesAndMails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		events, cancel := tn.Subscribe()
		tn.invite(invitee("ana@example.com"))
		ana, _ := tn.UserByEmail("ana@example.com")
		if err := tn.SignIn(ana.ID); err != nil {
			t.Fatal(err)
		}
		cancel()
		cancel()
		var got []string
		last := 0
		for e := range events {
			if last != 0 && e.Seq != last+1 {
				t.Errorf("event %d follows %d", e.Seq, last)
			}
			last = e.Seq
			for _, c := range e.Changes {
				got = append(got, c.What+" "+c.Resource+" "+c.Name)
			}
			if e.Mail != nil {
				got = append(got, "mail to "+e.Mail.To)
			}
			if e.Call != nil {
				got = append(got, "call "+e.Call.Operation)
			}
		}
		want := []string{
			"created user ana@example.com", "created mail ana@example.com", "mail to ana@example.com",
			"call POST " + invitePath, "updated user ana@example.com",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestASlowSubscriberLosesEventsAndCanTell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		events, cancel := tn.Subscribe()
		defer cancel()
		for i := range 300 {
			tn.addUser(person(fmt.Sprint(i)))
		}
		held := len(events)
		var last qlik.Event
		for range held {
			last = <-events
		}
		tn.addUser(person("one more"))
		if next := <-events; held >= 300 || next.Seq == last.Seq+1 {
			t.Errorf("after %d events comes number %d behind %d, want a gap", held, next.Seq, last.Seq)
		}
	})
}

func TestOnlyTheLatestCallsAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t, func(c *qlik.Config) { c.KeepCalls = 3 })
		for range 5 {
			tn.get("/api/v1/users")
		}
		if calls := tn.Calls(); len(calls) != 3 || calls[2].Seq != 6 {
			t.Errorf("kept are %d calls up to number %d", len(calls), calls[len(calls)-1].Seq)
		}
	})
}

func TestSnapshotsAreCopies(t *testing.T) {
	t.Parallel()
	tn := qlik.New(qlik.Config{})
	u, err := tn.AddUser(person("Ana", func(u *qlik.User) { u.Roles = []string{"Steward"} }))
	if err != nil {
		t.Fatal(err)
	}
	u.Roles[0] = "TenantAdmin"
	tn.Users()[0].Roles[0] = "TenantAdmin"
	got, _ := tn.User(u.ID)
	got.Roles[0] = "TenantAdmin"
	if again, _ := tn.User(u.ID); again.Roles[0] != "Steward" {
		t.Errorf("changing a snapshot has given Ana %q", again.Roles[0])
	}
}

func TestTheSameSeedMakesTheSameTenant(t *testing.T) {
	t.Parallel()
	ids := func(cfg qlik.Config) string {
		tn := qlik.New(cfg)
		u, err := tn.AddUser(person("Ana"))
		if err != nil {
			t.Fatal(err)
		}
		return tn.Tenant().ID + " " + u.ID + " " + tn.Roles()[0].ID
	}
	if a, b := ids(qlik.Config{Seed: 7}), ids(qlik.Config{Seed: 7}); a != b {
		t.Errorf("the same seed makes %s and %s", a, b)
	}
	if a, b := ids(qlik.Config{Seed: 7}), ids(qlik.Config{Seed: 8}); a == b {
		t.Errorf("different seeds make the same tenant")
	}
}

// The emulator must not know the client that it is there to test.
func TestThePackageImportsNothingOfOurs(t *testing.T) {
	t.Parallel()
	p, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Imports) == 0 {
		t.Fatal("no imports were found")
	}
	for _, path := range p.Imports {
		if strings.Contains(path, ".") {
			t.Errorf("imports %s, which is not of the standard library", path)
		}
	}
	for _, path := range append(p.TestImports, p.XTestImports...) {
		if strings.HasPrefix(path, "github.com/qlik-chatops/bot/") && path != "github.com/qlik-chatops/bot/internal/emulator/qlik" {
			t.Errorf("a test imports %s", path)
		}
	}
}

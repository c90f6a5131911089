package qlik_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/emulator/qlik"
)

const createOp = "POST /api/v1/users"

// outcome is what a client saw of a call, in a word or two.
func outcome(res answer, err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case err != nil:
		return "connection lost"
	case len(res.raw) == 0:
		return http.StatusText(res.status) + ", empty"
	case res.doc == nil:
		return http.StatusText(res.status) + ", not JSON"
	}
	return http.StatusText(res.status)
}

func TestEachFaultGivesItsOwnMixOfEffectAndAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  qlik.Fault
		sees   string
		effect string // "none", "at once", or after how long
	}{
		"refused":                            {qlik.Fault{}, "Internal Server Error", "none"},
		"refused with a status":              {qlik.Fault{Status: 503}, "Service Unavailable", "none"},
		"refused after taking effect":        {qlik.Fault{Status: 500, Effect: qlik.TakesEffect}, "Internal Server Error", "at once"},
		"a gateway's page":                   {qlik.Fault{Answer: qlik.HTML}, "Bad Gateway, not JSON", "none"},
		"a gateway's page, done":             {qlik.Fault{Answer: qlik.HTML, Status: 504, Effect: qlik.TakesEffect}, "Gateway Timeout, not JSON", "at once"},
		"an empty answer":                    {qlik.Fault{Answer: qlik.Empty, Status: 503}, "Service Unavailable, empty", "none"},
		"garbage":                            {qlik.Fault{Answer: qlik.Garbage}, "OK, not JSON", "none"},
		"garbage, done":                      {qlik.Fault{Answer: qlik.Garbage, Effect: qlik.TakesEffect}, "OK, not JSON", "at once"},
		"dropped before the effect":          {qlik.Fault{Answer: qlik.Drop}, "connection lost", "none"},
		"dropped after the effect":           {qlik.Fault{Answer: qlik.Drop, Effect: qlik.TakesEffect}, "connection lost", "at once"},
		"cut short":                          {qlik.Fault{Answer: qlik.Truncated, Effect: qlik.TakesEffect}, "connection lost", "at once"},
		"cut short without effect":           {qlik.Fault{Answer: qlik.Truncated}, "connection lost", "none"},
		"hanging":                            {qlik.Fault{Answer: qlik.Hang}, "timeout", "none"},
		"hanging, done":                      {qlik.Fault{Answer: qlik.Hang, Effect: qlik.TakesEffect}, "timeout", "at once"},
		"hanging, done later":                {qlik.Fault{Answer: qlik.Hang, Effect: qlik.LateEffect, EffectDelay: time.Minute}, "timeout", "1m0s"},
		"refused, done later":                {qlik.Fault{Effect: qlik.LateEffect, EffectDelay: time.Minute}, "Internal Server Error", "1m0s"},
		"answered, but not done":             {qlik.Fault{Answer: qlik.Normal}, "Created", "none"},
		"slow":                               {qlik.Fault{Answer: qlik.Normal, Effect: qlik.TakesEffect, Delay: 5 * time.Second}, "Created", "5s"},
		"slower than the client's wait":      {qlik.Fault{Answer: qlik.Normal, Effect: qlik.TakesEffect, Delay: 30 * time.Second}, "timeout", "30s"},
		"answered late":                      {qlik.Fault{Answer: qlik.Normal, Effect: qlik.TakesEffect, Hold: 30 * time.Second}, "timeout", "at once"},
		"slow and refused":                   {qlik.Fault{Delay: 5 * time.Second}, "Internal Server Error", "none"},
		"given up before it was carried out": {qlik.Fault{Delay: 30 * time.Second}, "timeout", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tn := newTenant(t)
				c.fault.Operation = createOp
				tn.AddFault(c.fault)
				start := time.Now()
				var landed time.Duration = -1
				events, cancel := tn.Subscribe()
				defer cancel()
				ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
				defer stop()
				res, err := tn.try(ctx, "POST", "/api/v1/users", "application/json", map[string]string{"subject": "s", "status": "active"})
				if got := outcome(res, err); got != c.sees {
					t.Errorf("the client sees %q, want %q (%v)", got, c.sees, err)
				}
				time.Sleep(2 * time.Minute)
				for len(events) > 0 {
					e := <-events
					for _, change := range e.Changes {
						if change.Resource == "user" {
							landed = e.Time.Sub(start)
						}
					}
				}
				effect := landed.String()
				if landed < 0 {
					effect = "none"
				} else if landed == 0 {
					effect = "at once"
				}
				if effect != c.effect {
					t.Errorf("the effect came %s, want %s", effect, c.effect)
				}
				call := tn.CallsTo(createOp)[0]
				if done := call.Effect == qlik.EffectDone; done != (c.effect != "none") || call.Fault == "" || !call.Done {
					t.Errorf("the call is recorded as %+v", call)
				}
				if len(tn.Faults()) != 0 {
					t.Error("the fault is still armed after its one call")
				}
			})
		})
	}
}

func TestAFaultHitsTheCallsThatItNames(t *testing.T) {
	t.Parallel()
	for operation, want := range map[string][]string{
		"":                             {"GET /api/v1/users", "POST /api/v1/users", "GET /api/v1/users/x", "PATCH /api/v1/users/x", "GET /api/v1/users/me", "GET /api/v1/spaces/x/assignments/y"},
		"GET /api/v1/users":            {"GET /api/v1/users"},
		"* /api/v1/users":              {"GET /api/v1/users", "POST /api/v1/users"},
		"* /api/v1/users/{userId}":     {"GET /api/v1/users/x", "PATCH /api/v1/users/x"},
		"PATCH /api/v1/users/{userId}": {"PATCH /api/v1/users/x"},
		"GET /api/v1/users/*":          {"GET /api/v1/users/x", "GET /api/v1/users/me"},
		"GET /api/v1/users/x":          {"GET /api/v1/users/x"},
		"* /api/v1/spaces/**":          {"GET /api/v1/spaces/x/assignments/y"},
		"GET /api/v1/**":               {"GET /api/v1/users", "GET /api/v1/users/x", "GET /api/v1/users/me", "GET /api/v1/spaces/x/assignments/y"},
	} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tn := newTenant(t)
				tn.AddFault(qlik.Fault{Operation: operation, Count: qlik.Always, Status: 418})
				var hit []string
				for _, call := range []string{
					"GET /api/v1/users", "POST /api/v1/users", "GET /api/v1/users/x", "PATCH /api/v1/users/x", "GET /api/v1/users/me",
					"GET /api/v1/spaces/x/assignments/y",
				} {
					method, path, _ := strings.Cut(call, " ")
					if tn.send(method, path, "", nil).status == 418 {
						hit = append(hit, call)
					}
				}
				if diff := cmp.Diff(want, hit); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		})
	}
}

func TestAFaultSkipsAndCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.AddFault(qlik.Fault{Operation: "GET /api/v1/users", Skip: 1, Count: 2, Status: 429, RetryAfter: 1500 * time.Millisecond})
		id := tn.AddFault(qlik.Fault{Operation: "GET /api/v1/groups", Count: qlik.Always})
		var got []int
		for range 4 {
			res := tn.get("/api/v1/users")
			got = append(got, res.status)
			if res.status == 429 && (res.header.Get("Retry-After") != "2" || res.problem()["code"] != "HTTP-429") {
				t.Errorf("the refusal is %s with Retry-After %q", res.raw, res.header.Get("Retry-After"))
			}
		}
		if diff := cmp.Diff([]int{200, 429, 429, 200}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		tn.get("/api/v1/groups").want(http.StatusInternalServerError)
		if faults := tn.Faults(); len(faults) != 1 || faults[0].ID != id || faults[0].Hits != 1 {
			t.Errorf("the faults are %+v", faults)
		}
		tn.RemoveFault(id)
		tn.get("/api/v1/groups").want(http.StatusOK)
		tn.AddFault(qlik.Fault{})
		tn.ClearFaults()
		tn.get("/api/v1/groups").want(http.StatusOK)
	})
}

func TestARefusalHasTheShapeOfItsResource(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]map[string]any{
		"/api/v1/users":                     {"errors": []any{map[string]any{"code": "X-1", "title": "Broken", "detail": "why", "status": 500.0}}},
		"/api/v1/groups":                    {"errors": []any{map[string]any{"code": "X-1", "title": "Broken", "detail": "why", "status": 500.0}}},
		"/api/v1/identity-providers/status": {"errors": []any{map[string]any{"code": "X-1", "title": "Broken", "detail": "why", "status": 500.0}}},
		"/api/v1/tenants/me":                {"errors": []any{map[string]any{"code": "X-1", "title": "Broken", "detail": "why", "status": "500"}}},
		"/api/v1/roles":                     {"errors": []any{map[string]any{"code": "X-1", "title": "Broken", "detail": "why"}}},
		"/api/v1/spaces":                    {"errors": []any{map[string]any{"code": "X-1", "title": "Broken", "detail": "why"}}, "code": "X-1", "title": "Broken", "detail": "why"},
		"/api/v1/licenses/overview":         {"errors": []any{map[string]any{"code": "X-1", "title": "Broken", "detail": "why"}}, "error": "X-1", "message": "why"},
		"/nowhere":                          {"errors": []any{map[string]any{"code": "X-1", "title": "Broken", "detail": "why"}}},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tn := newTenant(t)
				tn.AddFault(qlik.Fault{Status: 500, Code: "X-1", Title: "Broken", Detail: "why"})
				got := tn.get(path).want(http.StatusInternalServerError).doc
				_, traced := got["traceId"]
				if untraced := strings.Contains(path, "licenses") || strings.Contains(path, "identity"); traced == untraced {
					t.Errorf("traceId present: %v", traced)
				}
				delete(got, "traceId")
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		})
	}
}

func TestClosingReleasesWhatHangsAndDropsWhatHasNotLanded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.AddFault(qlik.Fault{Operation: createOp, Answer: qlik.Hang, Effect: qlik.LateEffect, EffectDelay: time.Hour})
		lost := make(chan error)
		go func() {
			_, err := tn.try(context.Background(), "POST", "/api/v1/users", "application/json", map[string]string{"subject": "s", "status": "active"})
			lost <- err
		}()
		synctest.Wait()
		if call := tn.CallsTo(createOp)[0]; call.Done || call.Effect != qlik.EffectPending {
			t.Errorf("while it hangs the call is %+v", call)
		}
		tn.Close()
		if err := <-lost; err == nil {
			t.Error("the call was answered")
		}
		time.Sleep(2 * time.Hour)
		if n := len(tn.Users()); n != 1 {
			t.Errorf("there are %d users, want the bot alone", n)
		}
	})
}

func TestARefusedCallerHasNoLateEffectEither(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.token = "nonsense"
		tn.AddFault(qlik.Fault{Operation: createOp, Effect: qlik.LateEffect, Answer: qlik.Normal})
		tn.post("/api/v1/users", map[string]string{"subject": "s", "status": "active"}).want(http.StatusUnauthorized)
		time.Sleep(time.Minute)
		if n := len(tn.Users()); n != 1 {
			t.Errorf("there are %d users, want the bot alone", n)
		}
	})
}

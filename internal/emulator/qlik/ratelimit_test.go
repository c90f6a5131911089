package qlik_test

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/emulator/qlik"
)

func TestABurstOfFiveMinutesWorthPassesAndTheNextCallWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t, func(c *qlik.Config) { c.RateLimits = qlik.RateLimits{Tier1: 4, Tier2: 2} })
		time.Sleep(10 * time.Minute)
		for range 20 {
			tn.get("/api/v1/users").want(http.StatusOK)
			time.Sleep(time.Second)
		}
		res := tn.get("/api/v1/users").want(http.StatusTooManyRequests)
		wait, err := strconv.Atoi(res.header.Get("Retry-After"))
		if err != nil || wait != 280 {
			t.Errorf("Retry-After is %q, want the 280 s until the first call leaves the window", res.header.Get("Retry-After"))
		}
		want := map[string]any{"errors": []any{map[string]any{
			"code": "HTTP-429", "title": "API rate limit reached.", "detail": "You need to wait 280 seconds until limit is lifted.",
		}}}
		if diff := cmp.Diff(want, res.doc); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		tn.post("/api/v1/users", map[string]string{"subject": "s", "status": "active"}).want(http.StatusCreated) // the other tier is open
		tn.post("/api/v1/users/actions/filter", map[string]string{"filter": `id eq "x"`}).want(http.StatusOK)    // and so are special ones
		time.Sleep(time.Duration(wait)*time.Second - time.Second)
		tn.get("/api/v1/groups").want(http.StatusTooManyRequests)
		time.Sleep(time.Second)
		tn.get("/api/v1/groups").want(http.StatusOK)
		tn.get("/api/v1/groups").want(http.StatusTooManyRequests)
	})
}

func TestPublishedLimitsHoldUnlessSwitchedOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		change := func() int {
			return tn.put("/api/v1/licenses/settings", `{"autoAssignAnalyzer":true}`).status
		}
		for i := range 499 { // the token was one of 500
			if status := change(); status != http.StatusOK {
				t.Fatalf("write %d: status %d", i, status)
			}
		}
		if status := change(); status != http.StatusTooManyRequests {
			t.Fatalf("write 501: status %d, want 429", status)
		}
		tn.post("/oauth/token", tokenForm(nil)).want(http.StatusTooManyRequests) // tokens are of the same tier
		tn.SetRateLimits(qlik.RateLimits{Off: true})
		if status := change(); status != http.StatusOK {
			t.Errorf("with the limits off: status %d", status)
		}
	})
}

func TestInASmallTenantTheCapOnTheTenantComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t, func(c *qlik.Config) { c.RateLimits = qlik.RateLimits{Tier1: 4, TenantCap: true} })
		for range 10 {
			tn.get("/api/v1/users").want(http.StatusOK)
		}
		tn.get("/api/v1/users").want(http.StatusTooManyRequests)
	})
}

package qlik

import (
	"cmp"
	"time"
)

// withDefaults fills in Qlik's published figures.
func (r RateLimits) withDefaults() RateLimits {
	r.Tier1 = cmp.Or(r.Tier1, 1000)
	r.Tier2 = cmp.Or(r.Tier2, 100)
	r.Filter = cmp.Or(r.Filter, 200)
	r.Window = cmp.Or(r.Window, 5*time.Minute)
	return r
}

// limiter counts calls for each client and tier over a sliding window. Calls
// that it refuses are not counted, so a shut tier opens by waiting.
type limiter struct {
	rates RateLimits
	seen  map[limitKey][]time.Time
}

type limitKey struct {
	client string
	tenant bool // the whole tenant instead of a client
	tier   tier
}

// count lets the call through, or says how long its tier stays shut.
func (l *limiter) count(x *exchange) *problem {
	if l.rates.Off {
		return nil
	}
	if l.seen == nil {
		l.seen = map[limitKey][]time.Time{}
	}
	perMinute := map[tier]int{tier1: l.rates.Tier1, tier2: l.rates.Tier2}[x.route.tier]
	perMinute = cmp.Or(perMinute, l.rates.Filter)
	allowed := int(float64(perMinute) * l.rates.Window.Minutes())
	type check struct {
		key     limitKey
		allowed int
	}
	checks := []check{{limitKey{client: x.client, tier: x.route.tier}, allowed}}
	if l.rates.TenantCap {
		everybody := max(allowed*len(x.st.users)/2, 1)
		checks = append(checks, check{limitKey{tenant: true, tier: x.route.tier}, everybody})
	}
	for _, c := range checks {
		if wait := l.wait(c.key, c.allowed, x.now); wait > 0 {
			return rateLimited(max(ceilSeconds(wait), 1))
		}
	}
	for _, c := range checks {
		l.seen[c.key] = append(l.seen[c.key], x.now)
	}
	return nil
}

// wait is how long until another call fits into the window; 0: it fits now.
func (l *limiter) wait(key limitKey, allowed int, now time.Time) time.Duration {
	calls := l.seen[key]
	start := now.Add(-l.rates.Window)
	old := 0
	for old < len(calls) && !calls[old].After(start) {
		old++
	}
	calls = calls[old:]
	l.seen[key] = calls
	if len(calls) < allowed {
		return 0
	}
	return calls[len(calls)-allowed].Sub(start)
}

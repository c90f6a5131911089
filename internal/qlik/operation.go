package qlik

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Operation describes one call of the REST API: what metrics call it, which
// rate limit it counts against, whether it only reads, whether it may be
// repeated, and which answers mean success.
type Operation struct {
	// Name is "resource.verb", the label in metrics, logs and errors.
	Name string
	// Method and Path are as in Qlik's OpenAPI files; Path is a template with
	// "{name}" elements.
	Method, Path string
	// Tier is the rate limit that the call counts against.
	Tier Tier
	// ReadOnly: it changes nothing in the tenant. Only such operations pass
	// through a Reader.
	ReadOnly bool
	// Retry says whether this package repeats it after a passing failure.
	Retry RetryPolicy
	// Success are the statuses whose body is the result. 207 elsewhere is a
	// *PartialError; any other 2xx is an answer not understood.
	Success []int
}

// Tier is a rate limit of Qlik Cloud ("x-qlik-tier" in the OpenAPI files).
type Tier struct {
	// Name is "1", "2" or "special". Operations of tiers 1 and 2 share their
	// limit with all others of the tier; a special one has its own.
	Name string
	// PerMinute is the published limit for one user of one tenant.
	PerMinute int
}

// RetryPolicy says whether a call is repeated after a passing failure.
type RetryPolicy int

// The retry policies.
const (
	RetryNever RetryPolicy = iota // left to the caller, who knows the outcome
	RetryRead                     // a few times, within the deadline
)

func tier1() Tier { return Tier{Name: "1", PerMinute: 1000} }
func tier2() Tier { return Tier{Name: "2", PerMinute: 100} }

// The operations. A new one is added here and to Operations; nothing else
// about it is said twice.
var (
	// oauth.json: POST /oauth/token. It makes a token and nothing else, so it
	// counts as a read.
	opToken = Operation{Name: "oauth.token", Method: http.MethodPost, Path: "/oauth/token",
		Tier: tier2(), ReadOnly: true, Retry: RetryRead, Success: []int{http.StatusOK}}

	// users.json
	opUsersList = Operation{Name: "users.list", Method: http.MethodGet, Path: "/api/v1/users",
		Tier: tier1(), ReadOnly: true, Retry: RetryRead, Success: []int{http.StatusOK}}
	opUsersGet = Operation{Name: "users.get", Method: http.MethodGet, Path: "/api/v1/users/{userId}",
		Tier: tier1(), ReadOnly: true, Retry: RetryRead, Success: []int{http.StatusOK}}
	opUsersCreate = Operation{Name: "users.create", Method: http.MethodPost, Path: "/api/v1/users",
		Tier: tier2(), Success: []int{http.StatusCreated, http.StatusOK}}
	opUsersPatch = Operation{Name: "users.patch", Method: http.MethodPatch, Path: "/api/v1/users/{userId}",
		Tier: tier2(), Success: []int{http.StatusNoContent, http.StatusOK}}
	opUsersInvite = Operation{Name: "users.invite", Method: http.MethodPost, Path: "/api/v1/users/actions/invite",
		Tier: tier2(), Success: []int{http.StatusMultiStatus, http.StatusOK}}

	// roles.json
	opRolesList = Operation{Name: "roles.list", Method: http.MethodGet, Path: "/api/v1/roles",
		Tier: tier1(), ReadOnly: true, Retry: RetryRead, Success: []int{http.StatusOK}}

	// identity-providers.json
	opIdPStatus = Operation{Name: "identity-providers.status", Method: http.MethodGet, Path: "/api/v1/identity-providers/status",
		Tier: tier1(), ReadOnly: true, Retry: RetryRead, Success: []int{http.StatusOK}}

	// tenants.json
	opTenantsMe = Operation{Name: "tenants.me", Method: http.MethodGet, Path: "/api/v1/tenants/me",
		Tier: tier1(), ReadOnly: true, Retry: RetryRead, Success: []int{http.StatusOK}}
)

// Operations lists every operation of the client, for metrics and for tables
// of what the bot can call.
func Operations() []Operation {
	return []Operation{
		opToken,
		opUsersList, opUsersGet, opUsersCreate, opUsersPatch, opUsersInvite,
		opRolesList,
		opIdPStatus,
		opTenantsMe,
	}
}

// accepts says whether the status means success.
func (o Operation) accepts(status int) bool {
	for _, s := range o.Success {
		if s == status {
			return true
		}
	}
	return false
}

// lane is the key of the rate limit that the operation counts against.
func (o Operation) lane() string {
	if o.Tier.Name == "special" {
		return "special " + o.Name
	}
	return o.Tier.Name
}

// climbs says whether the value, taken for a path, has an element that means
// "here" or "up". Escaped it is harmless, unless something on the way unescapes.
func climbs(value string) bool {
	for element := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == '/' || r == '\\' }) {
		if element == "." || element == ".." {
			return true
		}
	}
	return false
}

// address fills the path template: each value is one escaped path element, so
// that none can reach another resource. An element that is empty or that a
// server might read as "here" or "up" is an error.
func (o Operation) address(base *url.URL, elements []string, query url.Values) (*url.URL, error) {
	var path, raw strings.Builder
	rest := o.Path
	for _, value := range elements {
		before, after, ok := strings.Cut(rest, "{")
		if !ok {
			return nil, fmt.Errorf("%w: too many path elements", ErrInvalid)
		}
		if value == "" || climbs(value) {
			return nil, fmt.Errorf("%w: the ID is empty or not an ID", ErrInvalid)
		}
		_, rest, _ = strings.Cut(after, "}")
		path.WriteString(before + value)
		raw.WriteString(before + url.PathEscape(value))
	}
	if strings.Contains(rest, "{") {
		return nil, fmt.Errorf("%w: too few path elements", ErrInvalid)
	}
	u := *base
	u.Path, u.RawPath = path.String()+rest, raw.String()+rest
	u.RawQuery = query.Encode()
	u.Fragment, u.RawFragment, u.User = "", "", nil
	return &u, nil
}

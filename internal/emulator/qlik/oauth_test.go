package qlik_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/emulator/qlik"
)

// tokenForm is a token request, changed.
func tokenForm(change map[string]string) map[string]string {
	form := map[string]string{"client_id": clientID, "client_secret": clientSecret, "grant_type": "client_credentials"}
	for k, v := range change {
		form[k] = v
		if v == "" {
			delete(form, k)
		}
	}
	return form
}

func TestATokenRequestIsRefusedWhen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := startTenant(t)
		for why, c := range map[string]struct {
			status int
			change map[string]string
		}{
			"the secret is wrong":           {401, map[string]string{"client_secret": "wrong"}},
			"the client is unknown":         {401, map[string]string{"client_id": "nobody"}},
			"the client is missing":         {400, map[string]string{"client_id": ""}},
			"the secret is missing":         {400, map[string]string{"client_secret": ""}},
			"the grant type is missing":     {400, map[string]string{"grant_type": ""}},
			"the grant type is another":     {400, map[string]string{"grant_type": "password"}},
			"the scope is not the client's": {400, map[string]string{"scope": "admin.apps"}},
		} {
			res := tn.post("/oauth/token", tokenForm(c.change))
			if res.status != c.status {
				t.Errorf("%s: status %d, want %d", why, res.status, c.status)
			}
			if got := res.problem()["status"]; got != fmt.Sprint(c.status) || res.doc["traceId"] != nil {
				t.Errorf("%s: the envelope is %s, want the status as a string and no trace ID", why, res.raw)
			}
		}
		tn.send("POST", "/oauth/token", "text/plain", `{}`).want(http.StatusBadRequest)
		if n := len(tn.Users()); n != 0 {
			t.Errorf("refused requests have made %d users", n)
		}
	})
}

func TestAClientThatIsNotTrustedGetsNoToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := startTenant(t, func(c *qlik.Config) { c.Clients[0].Trusted = false })
		res := tn.post("/oauth/token", tokenForm(nil)).want(http.StatusBadRequest)
		want := map[string]any{"errors": []any{map[string]any{
			"title": "Invalid client_id", "detail": "OAuth client is not authorized", "code": "OAUTH-14", "status": "400",
		}}}
		if diff := cmp.Diff(want, res.doc); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestTheFirstTokenMakesTheBotUser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := startTenant(t)
		if _, ok := tn.BotUser(clientID); ok {
			t.Fatal("there is a bot user before the first token")
		}
		tn.token = tn.signIn("")
		bot, _ := tn.BotUser(clientID)
		if bot.Subject != `qlikbot\`+clientID || bot.Name != "Made-up bot" || bot.Email != "" || bot.Status != "active" || !cmp.Equal(bot.Roles, []string{"TenantAdmin"}) {
			t.Errorf("the bot user is %+v", bot)
		}
		if doc := tn.get("/api/v1/users/" + bot.ID).want(http.StatusOK).doc; doc["clientId"] != clientID || doc["email"] != nil {
			t.Errorf("the API shows it as %v", doc)
		}
		tn.signIn("")
		if n := len(tn.Users()); n != 1 {
			t.Errorf("a second token has made it %d users", n)
		}
	})
}

func TestATokenAnswerCanSayInSeveralWaysWhenItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := startTenant(t)
		for expiry, want := range map[qlik.TokenExpiry][2]any{
			qlik.ExpiresAt:      {time.Now().Add(6 * time.Hour).UTC().Format("2006-01-02T15:04:05.000Z"), nil},
			qlik.ExpiresIn:      {nil, 21600.0},
			qlik.ExpiresBoth:    {time.Now().Add(6 * time.Hour).UTC().Format("2006-01-02T15:04:05.000Z"), 21600.0},
			qlik.ExpiresNotSaid: {nil, nil},
		} {
			tn.SetBehaviour(func(b *qlik.Behaviour) { b.TokenExpiry = expiry })
			res := tn.post("/oauth/token", tokenForm(map[string]string{"scope": "admin.users"})).want(http.StatusOK)
			if got := [2]any{res.doc["expires_at"], res.doc["expires_in"]}; got != want {
				t.Errorf("expires_at and expires_in are %v, want %v", got, want)
			}
			if res.str("scope") != "admin.users" || res.str("token_type") != "bearer" {
				t.Errorf("the answer is %v", res.doc)
			}
		}
	})
}

func TestATokenIsRefusedOnce(t *testing.T) {
	t.Parallel()
	for why, spoil := range map[string]func(*tenant){
		"it has expired":             func(*tenant) { time.Sleep(6 * time.Hour) },
		"it was revoked":             func(tn *tenant) { tn.post("/oauth/revoke", map[string]string{"token": tn.token}) },
		"all tokens were revoked":    func(tn *tenant) { tn.RevokeTokens("") },
		"it is another tenant's":     func(tn *tenant) { tn.token = newTenant(tn.t, func(c *qlik.Config) { c.Hostname = "other" }).token },
		"it is missing":              func(tn *tenant) { tn.token = "" },
		"it is nonsense":             func(tn *tenant) { tn.token = "nonsense" },
		"it is in a different shape": func(tn *tenant) { tn.token = strings.ToUpper(tn.token) },
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tn := newTenant(t)
				tn.get("/api/v1/users").want(http.StatusOK)
				spoil(tn)
				tn.get("/api/v1/users").want(http.StatusUnauthorized)
				tn.get("/api/v1/users/me").want(http.StatusUnauthorized)
			})
		})
	}
}

func TestTheBotCutsItsOwnBranch(t *testing.T) {
	t.Parallel()
	for why, cut := range map[string]func(*tenant, string){
		"by disabling itself": func(tn *tenant, id string) {
			tn.patch("/api/v1/users/"+id, []any{patchOp("replace", "/status", "disabled")})
		},
		"by giving up TenantAdmin": func(tn *tenant, id string) {
			tn.patch("/api/v1/users/"+id, []any{patchOp("replace", "/assignedRoles", []any{})})
		},
		"by being deleted by hand": func(tn *tenant, id string) { _ = tn.DeleteUser(id) },
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tn := newTenant(t)
				bot, _ := tn.BotUser(clientID)
				cut(tn, bot.ID)
				tn.get("/api/v1/users").want(http.StatusForbidden)
				if u, ok := tn.User(bot.ID); ok && u.Status == "disabled" {
					tn.post("/oauth/token", tokenForm(nil)).want(http.StatusForbidden)
				}
			})
		})
	}
}

func TestAClientHasOnlySoManyLiveTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := startTenant(t, func(c *qlik.Config) { c.MaxTokens = 3 })
		for range 3 {
			tn.signIn("")
		}
		tn.post("/oauth/token", tokenForm(nil)).want(http.StatusForbidden)
		time.Sleep(6 * time.Hour)
		tn.signIn("")
		if n := tn.LiveTokens(clientID); n != 1 {
			t.Errorf("%d tokens are live, want the new one", n)
		}
	})
}

func TestScopesOpenOnlyWhatTheySay(t *testing.T) {
	t.Parallel()
	calls := map[string]string{
		"read users": "GET /api/v1/users", "create users": "POST /api/v1/users", "invite": "POST " + invitePath,
		"read roles": "GET /api/v1/roles", "read groups": "GET /api/v1/groups", "read spaces": "GET /api/v1/spaces",
		"read licence": "GET /api/v1/licenses/overview", "identity providers": "GET /api/v1/identity-providers/status",
	}
	open := map[string][]string{
		"admin_classic":    {"read users", "create users", "invite", "read roles", "read groups", "read spaces", "read licence", "identity providers"},
		"admin.users":      {"read users", "create users", "invite"},
		"admin.users:read": {"read users"},
		"admin.spaces":     {"read spaces"},
		"user_default":     {},
	}
	for scope, allowed := range open {
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tn := startTenant(t)
				tn.token = tn.signIn(scope)
				tn.get("/api/v1/users/me").want(http.StatusMovedPermanently)
				for name, call := range calls {
					method, path, _ := strings.Cut(call, " ")
					res := tn.send(method, path, "application/json", map[string]any{})
					if opened := res.status != http.StatusForbidden; opened != strings.Contains(strings.Join(allowed, ","), name) {
						t.Errorf("%s: status %d", name, res.status)
					}
				}
			})
		})
	}
}

func TestRolesOfOthersAreHiddenWithoutAccessToRoles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := startTenant(t)
		tn.token = tn.signIn("admin.users")
		ana := tn.addUser(person("Ana", func(u *qlik.User) { u.Roles = []string{"Steward"} }))
		bot, _ := tn.BotUser(clientID)
		if doc := tn.get("/api/v1/users/" + ana.ID).want(http.StatusOK).doc; doc["assignedRoles"] != nil {
			t.Errorf("Ana's roles are shown: %v", doc["assignedRoles"])
		}
		if doc := tn.get("/api/v1/users/" + bot.ID).want(http.StatusOK).doc; doc["assignedRoles"] == nil {
			t.Error("the bot's own roles are hidden")
		}
		tn.patch("/api/v1/users/"+ana.ID, []any{patchOp("add", "/assignedRoles/-", map[string]string{"name": "DataAdmin"})}).want(http.StatusNoContent)
	})
}

// assertion makes a private-key JWT.
func assertion(t *testing.T, key crypto.Signer, alg string, header, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	text := part(header) + "." + part(claims)
	var signature []byte
	switch k := key.(type) {
	case *rsa.PrivateKey:
		sum256, sum512 := sha256.Sum256([]byte(text)), sha512.Sum512([]byte(text))
		hash, sum := crypto.SHA256, sum256[:]
		if alg == "RS512" {
			hash, sum = crypto.SHA512, sum512[:]
		}
		var err error
		if signature, err = rsa.SignPKCS1v15(nil, k, hash, sum); err != nil {
			t.Fatal(err)
		}
	case *ecdsa.PrivateKey:
		sum := sha512.Sum384([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		signature = append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestAPrivateKeyStandsInForTheSecret(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for alg, key := range map[string]crypto.Signer{"RS256": rsaKey, "RS512": rsaKey, "ES384": ecKey} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tn := startTenant(t, func(c *qlik.Config) { c.Clients[0].PublicKey, c.Clients[0].KeyID = key.Public(), "made-up-key" })
				try := func(header, claims map[string]any) answer {
					t.Helper()
					h := map[string]any{"alg": alg, "typ": "JWT", "kid": "made-up-key"}
					now := time.Now().Unix()
					c := map[string]any{
						"iss": clientID, "sub": clientID, "aud": "https://" + host + "/oauth/token",
						"jti": fmt.Sprint(now, len(tn.Calls())), "iat": now, "exp": now + 300,
					}
					for k, v := range header {
						h[k] = v
					}
					for k, v := range claims {
						c[k] = v
					}
					return tn.post("/oauth/token", map[string]string{
						"client_id": clientID, "grant_type": "client_credentials",
						"client_assertion":      assertion(t, key, alg, h, c),
						"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
					})
				}
				try(nil, nil).want(http.StatusOK)
				try(nil, map[string]any{"jti": "once"}).want(http.StatusOK)
				for why, bad := range map[string][2]map[string]any{
					"the jti was used":         {nil, {"jti": "once"}},
					"the jti is missing":       {nil, {"jti": ""}},
					"the audience has a slash": {nil, {"aud": "https://" + host + "/oauth/token/"}},
					"the audience is foreign":  {nil, {"aud": "https://other.eu.qlikcloud.example/oauth/token"}},
					"the issuer is another":    {nil, {"iss": "x"}},
					"the subject is another":   {nil, {"sub": "x"}},
					"it has expired":           {nil, {"exp": time.Now().Unix()}},
					"it lives too long":        {nil, {"exp": time.Now().Unix() + 301}},
					"iat is missing":           {nil, {"iat": 0}},
					"the key is another":       {{"kid": "x"}, nil},
					"the key is not named":     {{"kid": ""}, nil},
					"the algorithm is none":    {{"alg": "none"}, nil},
				} {
					if res := try(bad[0], bad[1]); res.status != http.StatusUnauthorized {
						t.Errorf("%s: status %d, want 401: %s", why, res.status, res.raw)
					}
				}
				tn.post("/oauth/token", tokenForm(map[string]string{"client_secret": "", "client_assertion": "x"})).want(http.StatusBadRequest)
			})
		})
	}
}

func TestTheMetadataNamesTheTokenEndpointThatTheClientUses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := startTenant(t)
		if got := tn.get("/.well-known/oauth-authorization-server").want(http.StatusOK).str("token_endpoint"); got != "http://"+host+"/oauth/token" {
			t.Errorf("the token endpoint is %q", got)
		}
	})
}

package qlik

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// assertionType is the only client_assertion_type there is (RFC 7523).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// longestAssertion is how far ahead an assertion's exp may lie.
const longestAssertion = 5 * time.Minute

// oauthForm reads the body of an OAuth request, JSON or form
// (oauth.json: POST /oauth/token). Unknown fields are ignored, as OAuth wants,
// so a camelCase "clientId" is simply a client_id that is missing.
func (x *exchange) oauthForm() (map[string]string, *problem) {
	media, _, err := mime.ParseMediaType(x.req.header.Get("Content-Type"))
	form := map[string]string{}
	switch {
	case err == nil && media == "application/x-www-form-urlencoded":
		values, err := url.ParseQuery(string(x.req.body))
		if err != nil {
			return nil, invalid("The form cannot be parsed.")
		}
		for name, v := range values {
			if len(v) != 1 {
				return nil, invalid("Parameter %q stands there more than once.", name)
			}
			form[name] = v[0]
		}
	case err == nil && media == "application/json":
		var doc map[string]any
		if decode(x.req.body, &doc) != nil || doc == nil {
			return nil, invalid("A JSON object is expected.")
		}
		for name, v := range doc {
			if text, ok := v.(string); ok {
				form[name] = text
			}
		}
	default:
		return nil, invalid("The content type must be application/json or application/x-www-form-urlencoded.")
	}
	return form, nil
}

// claimedClient is the client that an OAuth request says it comes from. Its
// rate limits are counted there, before the credentials are looked at.
func (x *exchange) claimedClient() string {
	if x.req.method != http.MethodPost {
		return ""
	}
	form, p := x.oauthForm()
	if p != nil {
		return ""
	}
	if _, ok := x.st.clients[form["client_id"]]; !ok {
		return ""
	}
	return form["client_id"]
}

// issueToken is POST /oauth/token for the client credentials grant.
func issueToken(x *exchange) response {
	form, p := x.oauthForm()
	if p != nil {
		return x.fail(*p)
	}
	switch {
	case form["grant_type"] != "client_credentials":
		return x.fail(*invalid("The grant type must be client_credentials."))
	case form["client_id"] == "":
		return x.fail(*invalid("client_id is missing."))
	}
	client, ok := x.st.clients[form["client_id"]]
	if !ok {
		return x.fail(badCredentials())
	}
	if p := x.proveClient(client, form); p != nil {
		return x.fail(*p)
	}
	if !client.Trusted {
		return x.fail(problem{
			status: http.StatusBadRequest, code: "OAUTH-14", title: "Invalid client_id",
			detail: "OAuth client is not authorized",
		})
	}
	allowed := client.Scopes
	if len(allowed) == 0 {
		allowed = []string{scopeClassic, "user_default"}
	}
	scopes := strings.Fields(form["scope"])
	for _, scope := range scopes {
		if !slices.Contains(allowed, scope) {
			return x.fail(*invalid("Scope %q is not one of this client's.", scope))
		}
	}
	if len(scopes) == 0 {
		scopes = allowed
	}
	bot, p := x.botUser(client)
	if p != nil {
		return x.fail(*p)
	}
	if x.st.liveTokens(client.ID, x.now) >= x.cfg.MaxTokens {
		return x.fail(problem{status: http.StatusForbidden, title: "Forbidden", detail: "The client has too many tokens."})
	}
	for old, t := range x.st.tokens {
		if !x.now.Before(t.expires) {
			delete(x.st.tokens, old)
		}
	}
	text := "emulated-token-" + hex.EncodeToString(x.st.digest("token"))
	expires := x.now.Add(x.cfg.TokenLifetime)
	x.st.tokens[text] = token{clientID: client.ID, scopes: slices.Clone(scopes), expires: expires}
	x.st.changed("created", "token", "", bot.Name)
	doc := map[string]any{
		"access_token": text,
		"token_type":   "bearer",
		"scope":        strings.Join(scopes, " "),
		"auth_time":    x.now.Unix(),
	}
	if x.behaviour.CapitalBearer {
		doc["token_type"] = "Bearer"
	}
	if e := x.behaviour.TokenExpiry; e == ExpiresAt || e == ExpiresBoth {
		doc["expires_at"] = timestamp(expires)
	}
	if e := x.behaviour.TokenExpiry; e == ExpiresIn || e == ExpiresBoth {
		doc["expires_in"] = int(x.cfg.TokenLifetime / time.Second)
	}
	res := jsonResponse(http.StatusOK, doc)
	res.header.Set("Cache-Control", "no-store")
	return res
}

func badCredentials() problem {
	return problem{status: http.StatusUnauthorized, title: "Unauthorized", detail: "The client's credentials are not valid."}
}

// botUser returns the client's bot user and makes it on the first token.
func (x *exchange) botUser(c Client) (User, *problem) {
	bot, ok := x.st.botOf(c.ID)
	if ok {
		if bot.Status != StatusActive {
			return User{}, &problem{status: http.StatusForbidden, title: "Forbidden", detail: "The user is disabled."}
		}
		return bot, nil
	}
	bot = User{
		ID: x.st.newID("user"), Subject: `qlikbot\` + c.ID, Name: c.Name, Status: StatusActive,
		ClientID: c.ID, Roles: []string{"TenantAdmin"}, CreatedAt: x.now, LastUpdatedAt: x.now,
	}
	if bot.Name == "" {
		bot.Name = c.ID
	}
	x.st.putUser(bot)
	return bot, nil
}

// liveTokens counts a client's tokens that have not expired.
func (st *state) liveTokens(clientID string, now time.Time) int {
	n := 0
	for _, t := range st.tokens {
		if t.clientID == clientID && now.Before(t.expires) {
			n++
		}
	}
	return n
}

// proveClient checks the client's secret or its assertion.
func (x *exchange) proveClient(c Client, form map[string]string) *problem {
	bad := badCredentials()
	assertion, secret := form["client_assertion"], form["client_secret"]
	switch {
	case assertion != "" && secret != "":
		return invalid("Send client_secret or client_assertion, not both.")
	case assertion != "":
		if form["client_assertion_type"] != assertionType {
			return &problem{status: http.StatusBadRequest, code: "unsupported_client_assertion_type", title: "Unsupported client_assertion_type"}
		}
		if why := x.checkAssertion(c, assertion); why != "" {
			bad.detail = why
			return &bad
		}
		return nil
	case secret == "":
		return invalid("client_secret is missing.")
	case c.Secret == "" || subtle.ConstantTimeCompare([]byte(secret), []byte(c.Secret)) != 1:
		return &bad
	}
	return nil
}

// checkAssertion checks a private-key JWT and says what is wrong with it, or
// nothing. An assertion can be used once.
func (x *exchange) checkAssertion(c Client, assertion string) string {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "The assertion is not a signed JWT."
	}
	var header struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
	}
	var claims struct {
		Iss string `json:"iss"`
		Sub string `json:"sub"`
		Aud string `json:"aud"`
		Jti string `json:"jti"`
		Iat int64  `json:"iat"`
		Exp int64  `json:"exp"`
	}
	if !jwtPart(parts[0], &header) || !jwtPart(parts[1], &claims) {
		return "The assertion cannot be parsed."
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return "The assertion's signature cannot be parsed."
	}
	if header.Kid == "" || c.KeyID != "" && header.Kid != c.KeyID {
		return "The assertion's kid is not one of this client's."
	}
	if !signed(c.PublicKey, header.Alg, parts[0]+"."+parts[1], signature) {
		return "The assertion's signature is not valid."
	}
	exp, iat := time.Unix(claims.Exp, 0), time.Unix(claims.Iat, 0)
	switch {
	case claims.Iss != c.ID || claims.Sub != c.ID:
		return "The assertion's iss and sub must be the client's ID."
	case !x.isTokenURL(claims.Aud):
		return "The assertion's aud must be this tenant's token URL."
	case claims.Iat == 0 || iat.After(x.now.Add(time.Minute)):
		return "The assertion's iat is missing or lies ahead."
	case !x.now.Before(exp):
		return "The assertion has expired."
	case exp.After(x.now.Add(longestAssertion)):
		return "The assertion's exp lies more than 5 minutes ahead."
	case claims.Jti == "":
		return "The assertion's jti is missing."
	}
	id := c.ID + "\n" + claims.Jti
	if _, used := x.st.jtis[id]; used {
		return "The assertion's jti has been used."
	}
	for old, until := range x.st.jtis {
		if x.now.After(until) {
			delete(x.st.jtis, old)
		}
	}
	x.st.jtis[id] = exp
	return ""
}

// jwtPart decodes one part of a JWT.
func jwtPart(part string, v any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(raw, v) == nil
}

// isTokenURL says whether an audience names this tenant's token endpoint: on
// its own host name, or on the address that the client has used.
func (x *exchange) isTokenURL(aud string) bool {
	return aud == "https://"+x.cfg.Hostname+"/oauth/token" ||
		aud == "https://"+x.req.host+"/oauth/token" || aud == x.req.base+"/oauth/token"
}

// signed checks a signature by one of the three algorithms that Qlik takes.
func signed(key crypto.PublicKey, alg, text string, signature []byte) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return false
		}
		switch alg {
		case "RS256":
			sum := sha256.Sum256([]byte(text))
			return rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], signature) == nil
		case "RS512":
			sum := sha512.Sum512([]byte(text))
			return rsa.VerifyPKCS1v15(k, crypto.SHA512, sum[:], signature) == nil
		}
	case *ecdsa.PublicKey:
		if alg != "ES384" || k.Curve != elliptic.P384() || len(signature) != 96 {
			return false
		}
		sum := sha512.Sum384([]byte(text))
		return ecdsa.Verify(k, sum[:], new(big.Int).SetBytes(signature[:48]), new(big.Int).SetBytes(signature[48:]))
	}
	return false
}

// revokeToken is POST /oauth/revoke. A token that is not known is as good as
// revoked (RFC 7009).
func revokeToken(x *exchange) response {
	form, p := x.oauthForm()
	if p != nil {
		return x.fail(*p)
	}
	if form["token"] == "" {
		return x.fail(*invalid("token is missing."))
	}
	if hint, ok := form["token_type_hint"]; ok && hint != "access_token" && hint != "refresh_token" {
		return x.fail(*invalid("token_type_hint must be access_token or refresh_token."))
	}
	if t, ok := x.st.tokens[form["token"]]; ok {
		delete(x.st.tokens, form["token"])
		x.st.changed("deleted", "token", "", t.clientID)
	}
	return response{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: []byte("{}")}
}

// oauthMetadata is GET /.well-known/oauth-authorization-server
// (well-known.json). The addresses are those that the client uses.
func oauthMetadata(x *exchange) response {
	base := x.req.base
	return jsonResponse(http.StatusOK, map[string]any{
		"issuer":                   base,
		"jwks_uri":                 base + "/.well-known/jwks.json",
		"token_endpoint":           base + "/oauth/token",
		"revocation_endpoint":      base + "/oauth/revoke",
		"authorization_endpoint":   base + "/oauth/authorize",
		"grant_types_supported":    []string{"client_credentials"},
		"response_types_supported": []string{"code"},
	})
}

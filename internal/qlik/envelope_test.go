package qlik

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestErrorBodiesInAllTheirForms(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, body string
		want       []ErrorEntry
		trace      string
	}{
		{"users: status is a number", `{"errors":[{"code":"USERS-7","title":"Not found","status":404}],"traceId":"0079"}`,
			[]ErrorEntry{{Code: "USERS-7", Title: "Not found"}}, "0079"},
		{"oauth: status is text, no trace", `{"errors":[{"title":"Invalid client_id","detail":"OAuth client is not authorized","code":"OAUTH-14","status":"400"}]}`,
			[]ErrorEntry{{Code: "OAUTH-14", Title: "Invalid client_id", Detail: "OAuth client is not authorized"}}, ""},
		{"invite: code is a number", `{"errors":[{"code":403,"title":"Denied"}]}`, []ErrorEntry{{Code: "403", Title: "Denied"}}, ""},
		{"a pointer", `{"errors":[{"code":"A","title":"B","source":{"pointer":"/0/path"}}]}`, []ErrorEntry{{Code: "A", Title: "B", Pointer: "/0/path"}}, ""},
		{"a parameter", `{"errors":[{"code":"A","title":"B","source":{"parameter":"filter"}}]}`, []ErrorEntry{{Code: "A", Title: "B", Pointer: "filter"}}, ""},
		{"several", `{"errors":[{"code":"A"},{"code":"B"}]}`, []ErrorEntry{{Code: "A"}, {Code: "B"}}, ""},
		{"spaces: at the top", `{"code":"SPACES-1","title":"T","detail":"D"}`, []ErrorEntry{{Code: "SPACES-1", Title: "T", Detail: "D"}}, ""},
		{"spaces: both", `{"errors":[{"code":"A"}],"code":"B"}`, []ErrorEntry{{Code: "A"}}, ""},
		{"licences", `{"errors":[],"error":"LICENSES-011","message":"none left"}`, []ErrorEntry{{Code: "LICENSES-011", Title: "none left"}}, ""},
		{"RFC 6749", `{"error":"unauthorized_client","error_description":"no"}`, []ErrorEntry{{Code: "unauthorized_client", Detail: "no"}}, ""},
		{"error is an object", `{"error":{"code":12,"title":"T"}}`, []ErrorEntry{{Code: "12", Title: "T"}}, ""},
		{"one entry without its list", `{"errors":{"code":"A","title":"T"}}`, []ErrorEntry{{Code: "A", Title: "T"}}, ""},
		{"entries are bare text", `{"errors":["no way"]}`, []ErrorEntry{{Title: "no way"}}, ""},
		{"fields of odd types are left out", `{"errors":[{"code":{"a":1},"title":["x"],"detail":null,"source":"y","status":[]}],"traceId":{}}`, nil, ""},
		{"null", `null`, nil, ""},
		{"empty", ``, nil, ""},
		{"HTML", `<html>502</html>`, nil, ""},
		{"a list", `[]`, nil, ""},
		{"cut", `{"errors":[{"code":"A"`, nil, ""},
		{"control and bidirectional characters go", `{"errors":[{"title":"a\u0000b\n c\u202ed"}]}`, []ErrorEntry{{Title: "ab  cd"}}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := parseEnvelope([]byte(c.body), nil)
			if diff := cmp.Diff(c.want, got.entries, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if got.traceID != c.trace {
				t.Errorf("trace %q", got.traceID)
			}
		})
	}
}

func FuzzErrorBodyNeverFailsAndNeverShowsASecret(f *testing.F) {
	for _, s := range []string{
		`{"errors":[{"code":"USERS-7","title":"Not found","status":404}],"traceId":"0079"}`,
		`{"error":"x","error_description":"y"}`, `{"errors":{"code":1}}`, `[]`, `null`, `{"errors":["SECRET"]}`,
		`{"errors":[{"title":"` + strings.Repeat("x", 195) + `SECRET-VALUE"}]}`, "\xff", `{"traceId":"SECRET-VALUE"}`,
	} {
		f.Add([]byte(s))
	}
	const secret = "SECRET-VALUE"
	f.Fuzz(func(t *testing.T, body []byte) {
		env := parseEnvelope(body, []string{secret})
		if len(env.entries) > maxEntries {
			t.Fatalf("%d entries", len(env.entries))
		}
		for _, e := range append(env.entries, ErrorEntry{Title: env.traceID}) {
			for _, s := range []string{e.Code, e.Title, e.Detail, e.Pointer} {
				switch {
				case len(s) > maxDetail+len("…"):
					t.Fatalf("%d bytes", len(s))
				case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }):
					t.Fatalf("not clean: %q", s)
				case strings.Contains(s, secret):
					t.Fatalf("shows the secret: %q", s)
				}
			}
		}
	})
}

func TestErrorsShowNoSecretAndNoQuery(t *testing.T) {
	t.Parallel()
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, err := json.Marshal(map[string]any{
			"errors": []map[string]string{
				{"code": "X", "title": "bad " + r.Header.Get("Authorization"), "detail": strings.Repeat("x", maxDetail-9) + testSecret},
				{"code": testSecret, "title": url.QueryEscape(testSecret), "detail": "…"},
			}, "traceId": testSecret,
		})
		if err != nil {
			panic(err)
		}
		reply(400, string(body), "X-B3-Traceid", testSecret)(w, r)
	}
	garbledLine := func(w http.ResponseWriter, r *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintf(buf, "%s %s\r\n\r\n", r.Header.Get("Authorization"), testSecret)
		_ = buf.Flush()
		_ = conn.Close()
	}
	for name, answer := range map[string]http.HandlerFunc{
		"Qlik repeats everything": echo, "no HTTP at all": garbledLine, "dropped": drop, "slow": slowly(time.Minute, drop),
		"redirected away": reply(302, "", "Location", "https://evil.example.com/?filter="+testSecret),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				f := newFake(t, answer, func(c *Config) {
					c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				})
				_, err := f.client.Users.FindByEmail(t.Context(), "hidden@example.com")
				if err == nil {
					t.Fatal("no error")
				}
				slog.New(slog.NewTextHandler(&log, nil)).Error("failed", "error", err)
				slog.New(slog.NewJSONHandler(&log, nil)).Error("failed", "error", err)
				var all strings.Builder
				for e := err; e != nil; e = errors.Unwrap(e) {
					fmt.Fprintf(&all, "%v\n%+v\n%#v\n", e, e, e)
				}
				var e *Error
				if errors.As(err, &e) {
					fmt.Fprintf(&all, "%+v %+v", *e, e.Errors)
				}
				for _, text := range []string{err.Error(), log.String(), all.String()} {
					leaks(t, text, "made-up", "hidden@example.com", "hidden%40", "filter=")
				}
			})
		})
	}
}

func TestATransportsErrorLosesItsAddress(t *testing.T) {
	t.Parallel()
	for name, inner := range map[string]error{"with a cause": errors.New("no route"), "without": nil} {
		err := safeCause(fmt.Errorf("wrapped: %w", &url.Error{Op: "Get", URL: "https://t.example.com/?filter=x", Err: inner}), nil)
		if inner == nil {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, inner) || err.Error() != "no route" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFormattingShowsNoSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var kept Config
		f := newFake(t, reply(200, `{"id":"t1","name":"T"}`), func(c *Config) { kept = *c })
		if _, err := f.client.Tenants.Me(t.Context()); err != nil { // fetches a token
			t.Fatal(err)
		}
		show := func(v any, verbs ...string) {
			for _, verb := range verbs {
				leaks(t, fmt.Sprintf(verb, v), fmt.Sprintf("%x", testSecret), fmt.Sprintf("%x", testToken))
			}
		}
		core := f.client.caller.core
		held := core.tokens.lease()
		if tok, err := held.get(t.Context()); err != nil || !strings.Contains(tok.AccessToken, testToken) {
			t.Fatalf("there is no token to be shown: %v", err)
		}
		synctest.Wait() // nobody holds a lock that formatting would read
		for _, v := range []any{kept, &kept, core, core.tokens, held} {
			show(v, "%v", "%+v", "%#v", "%s", "%x", "%q", "%d")
		}
		for _, v := range []any{f.client, *f.client, f.client.Reader(), *f.client.Users, f.client.caller} {
			show(v, "%v", "%+v", "%#v")
		}
	})
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, reply(409, `{"errors":[{"code":"USERS-5","title":"Conflict","detail":"taken","source":{"pointer":"/email"}}],"traceId":"77"}`))
		_, err := f.client.Users.Create(t.Context(), CreateUserRequest{Subject: "s", Status: StatusActive})
		const want = "users.create on prod: refused: HTTP 409: Conflict: taken (USERS-5), trace 77"
		if err.Error() != want {
			t.Errorf("got  %q\nwant %q", err, want)
		}
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "error", err)
		for _, part := range []string{"error.op=users.create", "error.tenant=prod", "error.status=409", "error.outcome=refused", "error.pointer=/email", "error.trace=77"} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("%q is not in %s", part, log.String())
			}
		}
		f.setAnswer(html(502))
		_, err = f.client.Users.Create(t.Context(), CreateUserRequest{Subject: "s", Status: StatusActive})
		if want := "users.create on prod: outcome unknown: HTTP 502: 40 bytes of text/html that are not Qlik's error format"; err.Error() != want {
			t.Errorf("got  %q\nwant %q", err, want)
		}
	})
}

package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Made up; put together so that no scanner takes them for real.
const (
	testBotToken = "xoxb-" + "demo"
	testAppToken = "xapp-" + "demo"
	testSecret   = "not-" + "a-real-secret"
)

// env is what a test sets, by name.
type env map[string]string

// complete is the shortest environment with which the bot starts.
func complete(t *testing.T) env {
	t.Helper()
	return env{
		"SLACK_BOT_TOKEN":         testBotToken,
		"SLACK_APP_TOKEN":         testAppToken,
		"QLIK_TENANTS":            "prod",
		"QLIK_PROD_URL":           "https://prod.example.com",
		"QLIK_PROD_CLIENT_ID":     "client",
		"QLIK_PROD_CLIENT_SECRET": testSecret,
		"POLICY_FILE":             file(t, "policy.yaml", "version: 1\n", 0o600),
	}
}

func (e env) with(changes env) env {
	out := maps.Clone(e)
	maps.Copy(out, changes)
	return out
}

func (e env) without(names ...string) env {
	out := maps.Clone(e)
	for _, n := range names {
		delete(out, n)
	}
	return out
}

// read reads an environment that holds nothing else of ours.
func read(t *testing.T, e env, need Need) (*Config, error) {
	t.Helper()
	for name := range environment() {
		family, _, _ := strings.Cut(name, "_")
		if slices.Contains([]string{"SLACK", "QLIK", "OTEL"}, family) || slices.Contains(globalNames(), name) {
			t.Setenv(name, "") // puts it back when the test ends
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, value := range e {
		t.Setenv(name, value)
	}
	return Read(need)
}

func file(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustRead(t *testing.T, e env) *Config {
	t.Helper()
	c, err := read(t, e, NeedAll)
	if err != nil {
		t.Fatalf("the environment was refused:\n%v", err)
	}
	return c
}

func TestTheShortestEnvironmentGetsTheDefaults(t *testing.T) {
	e := complete(t)
	want := &Config{
		Slack: Slack{
			BotToken: NewSecret(testBotToken), AppToken: NewSecret(testAppToken),
			APIURL: "https://slack.com/api/", Command: "/qlik", Connections: 2,
		},
		Qlik: Qlik{
			Tenants: []Tenant{{
				Label: "prod", URL: "https://prod.example.com",
				ClientID: "client", ClientSecret: NewSecret(testSecret),
			}},
			DefaultTenant: "prod",
		},
		PolicyFile:  e["POLICY_FILE"],
		DatabaseURL: NewSecret("sqlite:bot.db"),
		Retention:   8760 * time.Hour,
		ListenAddr:  "127.0.0.1:8086",
		LogLevel:    slog.LevelInfo,
		LogFormat:   "text",
	}
	got := mustRead(t, e)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.SQLitePath() != "bot.db" {
		t.Errorf("the database file is %q, want bot.db", got.SQLitePath())
	}
}

func TestEveryVariableIsRead(t *testing.T) {
	dir := t.TempDir()
	e := complete(t).with(env{
		"SLACK_API_URL":                 "http://127.0.0.1:9999/api",
		"SLACK_COMMAND":                 "/tenants",
		"SLACK_CONNECTIONS":             "10",
		"SLACK_APPROVALS_CHANNEL":       "C0APPROVE",
		"QLIK_TENANTS":                  " prod, eu-west ",
		"QLIK_EU_WEST_URL":              "http://[::1]:8443/",
		"QLIK_EU_WEST_CLIENT_ID":        "other",
		"QLIK_EU_WEST_PRIVATE_KEY_FILE": rsaKey(t, 2048),
		"QLIK_EU_WEST_KEY_ID":           "key-1",
		"QLIK_SOURCE_TENANT":            "eu-west",
		"QLIK_DEFAULT_TENANT":           "prod",
		"DATABASE_URL":                  "sqlite:" + dir + "/with space.db",
		"RETENTION":                     "72h",
		"LISTEN_ADDR":                   ":80",
		"LOG_LEVEL":                     "WARN",
		"LOG_FORMAT":                    "json",
	})
	c := mustRead(t, e)
	key, err := os.ReadFile(e["QLIK_EU_WEST_PRIVATE_KEY_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Slack: Slack{
			BotToken: NewSecret(testBotToken), AppToken: NewSecret(testAppToken),
			APIURL: "http://127.0.0.1:9999/api/", Loopback: true,
			Command: "/tenants", Connections: 10, ApprovalsChannel: "C0APPROVE",
		},
		Qlik: Qlik{
			Tenants: []Tenant{
				{Label: "prod", URL: "https://prod.example.com", ClientID: "client", ClientSecret: NewSecret(testSecret)},
				{Label: "eu-west", URL: "http://[::1]:8443", ClientID: "other", PrivateKey: NewSecret(strings.TrimRight(string(key), "\n")), KeyID: "key-1"},
			},
			SourceTenant: "eu-west", DefaultTenant: "prod",
		},
		PolicyFile:  e["POLICY_FILE"],
		DatabaseURL: NewSecret("sqlite:" + dir + "/with space.db"),
		Retention:   72 * time.Hour,
		ListenAddr:  ":80",
		LogLevel:    slog.LevelWarn,
		LogFormat:   "json",
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The names that envconfig makes of the fields are those of the manual, in the
// order of tenantSuffixes.
func TestNamesOfTenantVariables(t *testing.T) {
	e := env{}
	for _, suffix := range tenantSuffixes() {
		e["QLIK_PROD"+suffix] = suffix
	}
	var v tenantVariables
	for name, value := range e {
		t.Setenv(name, value)
	}
	(&reader{}).decode("QLIK_PROD", &v)
	got := []string{v.URL, v.ClientID, v.ClientSecret.Reveal(), v.ClientSecretFile, v.PrivateKeyFile, v.KeyID}
	if diff := cmp.Diff(tenantSuffixes(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A name without its prefix belongs to another program.
func TestNoNameIsReadWithoutItsPrefix(t *testing.T) {
	e := complete(t).without("QLIK_PROD_URL", "QLIK_PROD_CLIENT_ID", "QLIK_PROD_CLIENT_SECRET", "SLACK_BOT_TOKEN")
	e = e.with(env{
		"URL": "https://other.example.com", "CLIENT_ID": "other", "CLIENT_SECRET": testSecret, "KEY_ID": "k",
		"PRIVATE_KEY_FILE": rsaKey(t, 2048), "CLIENT_SECRET_FILE": file(t, "s", testSecret, 0o600),
		"BOT_TOKEN": testBotToken, "PROD_CLIENT_SECRET": testSecret,
	})
	wantProblems(t, e, map[string]string{
		"QLIK_PROD_URL":           "is not set",
		"QLIK_PROD_CLIENT_ID":     "is not set",
		"QLIK_PROD_CLIENT_SECRET": "is not set",
		"SLACK_BOT_TOKEN":         "is not set",
	})
}

func rsaKey(t *testing.T, bits int) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return file(t, "key.pem", string(pem.EncodeToMemory(block)), 0o600)
}

func ecKey(t *testing.T, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o600)
}

func TestSecretsComeFromFilesToo(t *testing.T) {
	dir := t.TempDir()
	e := complete(t).without("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "QLIK_PROD_CLIENT_SECRET").with(env{
		"SLACK_BOT_TOKEN_FILE":         file(t, "bot", testBotToken+"\n", 0o400),
		"SLACK_APP_TOKEN_FILE":         file(t, "app", testAppToken+"\r\n", 0o400),
		"QLIK_PROD_CLIENT_SECRET_FILE": file(t, "secret", testSecret, 0o400),
		"DATABASE_URL_FILE":            file(t, "db", "sqlite:"+dir+"/bot.db\n", 0o400),
		// Set to nothing is not set, so there are not two.
		"SLACK_BOT_TOKEN": "", "QLIK_PROD_CLIENT_SECRET": "", "DATABASE_URL": "",
	})
	c := mustRead(t, e)
	for name, pair := range map[string][2]string{
		"bot token":     {c.Slack.BotToken.Reveal(), testBotToken},
		"app token":     {c.Slack.AppToken.Reveal(), testAppToken},
		"client secret": {c.Qlik.Tenants[0].ClientSecret.Reveal(), testSecret},
		"database":      {c.SQLitePath(), dir + "/bot.db"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", name, pair[0], pair[1])
		}
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings without a cause: %v", c.Warnings)
	}
}

func TestASecretFileForEverybodyIsAWarning(t *testing.T) {
	c := mustRead(t, complete(t).without("SLACK_BOT_TOKEN").with(env{
		"SLACK_BOT_TOKEN_FILE": file(t, "s", testBotToken, 0o444),
	}))
	if len(c.Warnings) != 1 || c.Warnings[0].Variable != "SLACK_BOT_TOKEN_FILE" {
		t.Errorf("warnings are %v, want one for SLACK_BOT_TOKEN_FILE", c.Warnings)
	}
}

func TestOpenTelemetryVariablesAreAWarning(t *testing.T) {
	c := mustRead(t, complete(t).with(env{"OTEL_SERVICE_NAME": "bot", "OTEL_SDK_DISABLED": ""}))
	if len(c.Warnings) != 1 || c.Warnings[0].Variable != "OTEL_SERVICE_NAME" {
		t.Errorf("warnings are %v, want one for OTEL_SERVICE_NAME", c.Warnings)
	}
}

func TestVariablesThatKubernetesSetsAreLeftAlone(t *testing.T) {
	mustRead(t, complete(t).with(env{
		"QLIK_BOT_SERVICE_HOST": "10.0.0.1", "QLIK_BOT_SERVICE_PORT": "8086",
		"QLIK_BOT_SERVICE_PORT_METRICS": "8086", "QLIK_BOT_PORT": "tcp://10.0.0.1:8086",
		"QLIK_BOT_PORT_8086_TCP_ADDR": "10.0.0.1", "SLACK_PROXY_SERVICE_HOST": "10.0.0.1",
	}))
}

func TestSetButEmptyCountsAsNotSet(t *testing.T) {
	c := mustRead(t, complete(t).with(env{
		"SLACK_API_URL": "", "SLACK_COMMAND": "", "SLACK_CONNECTIONS": "", "SLACK_APPROVALS_CHANNEL": "",
		"QLIK_SOURCE_TENANT": "", "QLIK_DEFAULT_TENANT": "", "QLIK_PROD_KEY_ID": "", "BLUEPRINT_DIR": "",
		"AUDIT_KEY_FILE": "", "DATABASE_URL": "", "RETENTION": "", "LOG_LEVEL": "", "LOG_FORMAT": "",
	}))
	if diff := cmp.Diff(mustRead(t, complete(t)), c, ignorePolicyFile()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func ignorePolicyFile() cmp.Option {
	return cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".PolicyFile" }, cmp.Ignore())
}

func TestAnEmptyListenAddressTurnsTheListenerOff(t *testing.T) {
	if c := mustRead(t, complete(t).with(env{"LISTEN_ADDR": ""})); c.ListenAddr != "" {
		t.Errorf("the listener is on %q", c.ListenAddr)
	}
}

func TestSeveralTenantsHaveNoDefaultUnlessNamed(t *testing.T) {
	e := complete(t).with(env{
		"QLIK_TENANTS": "prod,source", "QLIK_SOURCE_URL": "https://source.example.com",
		"QLIK_SOURCE_CLIENT_ID": "c", "QLIK_SOURCE_CLIENT_SECRET": testSecret,
	})
	if c := mustRead(t, e); c.Qlik.DefaultTenant != "" {
		t.Errorf("the default is %q", c.Qlik.DefaultTenant)
	}
	// A label may be called source: none of its variables is QLIK_SOURCE_TENANT.
	c := mustRead(t, e.with(env{"QLIK_SOURCE_TENANT": "source", "QLIK_DEFAULT_TENANT": "source"}))
	if c.Qlik.DefaultTenant != "source" || c.Qlik.SourceTenant != "source" {
		t.Errorf("the tenants are %+v", c.Qlik)
	}
	if diff := cmp.Diff([]string{"prod", "source"}, c.Qlik.Labels()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// No variable of a tenant can be taken for one of another, or for one of the
// bot's, whatever the labels are: no ending is the end of another one, and none
// ends the name of a variable of the bot.
func TestNoNameHasTwoMeanings(t *testing.T) {
	suffixes := tenantSuffixes()
	for _, a := range suffixes {
		for _, b := range suffixes {
			if a != b && strings.HasSuffix(a, b) {
				t.Errorf("…%s of one tenant could be …%s of another", a, b)
			}
		}
		for _, name := range globalNames() {
			if strings.HasPrefix(name, "QLIK_") && strings.HasSuffix(name, a) {
				t.Errorf("%s could be the %s of a tenant", name, a)
			}
		}
	}
}

func TestTrailingSlashOfTheAPIIsNormalised(t *testing.T) {
	for given, want := range map[string]string{
		"https://slack.com/api":         "https://slack.com/api/",
		"https://slack.com/api/":        "https://slack.com/api/",
		"https://slack.com/api//":       "https://slack.com/api/",
		"HTTPS://Slack.com:443/api":     "https://slack.com/api/",
		"http://localhost:1234":         "http://localhost:1234/",
		"http://127.8.9.10/api":         "http://127.8.9.10/api/",
		"http://[::1]:80/api":           "http://[::1]/api/",
		" https://slack.example.com/x ": "https://slack.example.com/x/",
	} {
		c := mustRead(t, complete(t).with(env{"SLACK_API_URL": given}))
		if c.Slack.APIURL != want {
			t.Errorf("%q becomes %q, want %q", given, c.Slack.APIURL, want)
		}
		if loopback := strings.HasPrefix(want, "http:"); c.Slack.Loopback != loopback {
			t.Errorf("%q: loopback is %v, want %v", given, c.Slack.Loopback, loopback)
		}
	}
}

func TestWhatIsNotNeededIsNeitherDemandedNorLookedAt(t *testing.T) {
	bad := env{
		"SLACK_BOT_TOKEN": "x", "SLACK_OTHER": "x", "QLIK_TENANTS": "!", "QLIK_OTHER": "x",
		"POLICY_FILE": "/none", "DATABASE_URL": "x",
	}
	c, err := read(t, bad, 0)
	if err != nil || c.Slack.BotToken.IsSet() || c.Qlik.Tenants != nil || c.DatabaseURL.IsSet() {
		t.Errorf("Read gives %+v and %v", c, err)
	}
	for need, want := range map[Need]map[string]string{
		NeedSlack:  {"SLACK_BOT_TOKEN": "xoxb-", "SLACK_APP_TOKEN": "not set", "SLACK_OTHER": "not a variable"},
		NeedQlik:   {"QLIK_TENANTS": "label 1", "QLIK_OTHER": "not a variable"},
		NeedLabels: {"QLIK_TENANTS": "label 1"},
		NeedPolicy: {"POLICY_FILE": "cannot be used"}, NeedDatabase: {"DATABASE_URL": "must be"},
	} {
		c, err := read(t, bad, need)
		checkProblems(t, c, err, want)
	}
}

func TestLabelsAloneTakeNoCredentials(t *testing.T) {
	c, err := read(t, env{"QLIK_TENANTS": "prod,staging", "QLIK_PROD_URL": "x"}, NeedLabels)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Tenant{{Label: "prod"}, {Label: "staging"}}, c.Qlik.Tenants); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzAddress: an address that is taken goes to the network over TLS or stays on
// this machine, holds no password, and is taken again as it came out.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{
		"https://example.com", "http://localhost:1/", "http://[::1]", "http://127.0.0.1@example.com", "https://me:pw@h",
		"http://127.0.0.1.example.com", "//x", "https://h:443", "https://h:", "http://[::ffff:127.0.0.1]/a%2fb", "https://h/?", "https://h#f",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		u, text := parseAddress(value)
		if (u == nil) == (text == "") {
			t.Fatalf("%q gives both an address and a problem, or neither", value)
		}
		if u == nil {
			return
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q gives %v", value, u)
		}
		if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			t.Errorf("%q would go to %v in the clear", value, u)
		}
		again, text := parseAddress(u.String())
		if text != "" || again.String() != u.String() {
			t.Errorf("%q gives %v, and that gives %v (%s)", value, u, again, text)
		}
	})
}

package config

import (
	"crypto/elliptic"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
)

// wantProblems wants these variables to be complained of, each once and with
// this in its text, and no other.
func wantProblems(t *testing.T, e env, want map[string]string) {
	t.Helper()
	c, err := read(t, e, NeedAll)
	checkProblems(t, c, err, want)
}

func checkProblems(t *testing.T, c *Config, err error, want map[string]string) {
	t.Helper()
	problems, ok := errors.AsType[Problems](err)
	if !ok {
		t.Fatalf("Read gives the error %v, want Problems", err)
	}
	if c != nil {
		t.Error("Read gives a Config beside its problems")
	}
	got := map[string]string{}
	for _, p := range problems {
		if _, twice := got[p.Variable]; twice {
			t.Errorf("%s is complained of twice", p.Variable)
		}
		got[p.Variable] = p.Text
	}
	for name, text := range want {
		if got[name] == "" || !strings.Contains(got[name], text) {
			t.Errorf("%s: %q, want something with %q", name, got[name], text)
		}
		delete(got, name)
	}
	for name, text := range got {
		t.Errorf("unexpected problem %s: %s", name, text)
	}
	if !slices.IsSortedFunc(problems, func(a, b Problem) int { return strings.Compare(a.Variable, b.Variable) }) {
		t.Error("the problems are not sorted by variable")
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	wantProblems(t, env{
		"SLACK_APP_TOKEN":         testBotToken,
		"SLACK_API_URL":           "http://slack.example.com",
		"SLACK_CONNECTIONS":       "eleven",
		"SLACK_BOT_TOKN":          testBotToken,
		"QLIK_TENANTS":            "prod,staging",
		"QLIK_PROD_URL":           "ftp://prod.example.com",
		"QLIK_PROD_CLIENT_SECRET": "",
		"QLIK_DEFAULT_TENANT":     "dev",
		"POLICY_FILE":             "",
		"BLUEPRINT_DIR":           "/",
		"RETENTION":               "a year",
		"LOG_LEVEL":               "loud",
	}, map[string]string{
		"SLACK_BOT_TOKEN":            "is not set",
		"SLACK_APP_TOKEN":            "belongs in SLACK_BOT_TOKEN",
		"SLACK_API_URL":              "must be https",
		"SLACK_CONNECTIONS":          "from 1 to 10",
		"SLACK_BOT_TOKN":             "did you mean SLACK_BOT_TOKEN?",
		"QLIK_PROD_URL":              "not an address",
		"QLIK_PROD_CLIENT_ID":        "is not set",
		"QLIK_PROD_CLIENT_SECRET":    "is not set",
		"QLIK_STAGING_URL":           "is not set",
		"QLIK_STAGING_CLIENT_ID":     "is not set",
		"QLIK_STAGING_CLIENT_SECRET": "is not set",
		"QLIK_DEFAULT_TENANT":        "one of the labels in QLIK_TENANTS: prod, staging",
		"POLICY_FILE":                "is set but empty",
		"BLUEPRINT_DIR":              "not built yet",
		"RETENTION":                  "must be a length of time",
		"LOG_LEVEL":                  "must be debug, info, warn or error",
	})
}

func TestNothingSetNamesWhatIsRequired(t *testing.T) {
	wantProblems(t, env{}, map[string]string{
		"SLACK_BOT_TOKEN": "is not set",
		"SLACK_APP_TOKEN": "is not set",
		"QLIK_TENANTS":    "is not set",
		"POLICY_FILE":     "is not set",
	})
}

// Each case changes a complete environment in one thing and is refused for it.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		set      env
		variable string
		text     string
	}{
		"bot token where the app-level token belongs": {env{"SLACK_APP_TOKEN": testBotToken}, "SLACK_APP_TOKEN", "belongs in SLACK_BOT_TOKEN"},
		"app-level token where the bot token belongs": {env{"SLACK_BOT_TOKEN": testAppToken}, "SLACK_BOT_TOKEN", "belongs in SLACK_APP_TOKEN"},
		"user token":                          {env{"SLACK_BOT_TOKEN": "xoxp-" + "demo"}, "SLACK_BOT_TOKEN", "user token"},
		"expiring token":                      {env{"SLACK_BOT_TOKEN": "xoxe.xoxb-" + "demo"}, "SLACK_BOT_TOKEN", "token rotation"},
		"other text as token":                 {env{"SLACK_BOT_TOKEN": "demo"}, "SLACK_BOT_TOKEN", "begins with xoxb-"},
		"beginning of a token alone":          {env{"SLACK_BOT_TOKEN": "xoxb-"}, "SLACK_BOT_TOKEN", "begins with xoxb-"},
		"token in quotation marks":            {env{"SLACK_BOT_TOKEN": `"` + testBotToken + `"`}, "SLACK_BOT_TOKEN", "quotation marks"},
		"token with a line break":             {env{"SLACK_BOT_TOKEN": testBotToken + "\n"}, "SLACK_BOT_TOKEN", "white space"},
		"token that is empty":                 {env{"SLACK_BOT_TOKEN": ""}, "SLACK_BOT_TOKEN", "set but empty"},
		"API without TLS":                     {env{"SLACK_API_URL": "http://slack.com/api/"}, "SLACK_API_URL", "must be https"},
		"API on a host named like loopback":   {env{"SLACK_API_URL": "http://localhost.example.com"}, "SLACK_API_URL", "must be https"},
		"API on an address like loopback":     {env{"SLACK_API_URL": "http://127.0.0.1.example.com"}, "SLACK_API_URL", "must be https"},
		"API on a private address":            {env{"SLACK_API_URL": "http://10.0.0.1"}, "SLACK_API_URL", "must be https"},
		"API with a password":                 {env{"SLACK_API_URL": "https://me:pw@slack.com/api/"}, "SLACK_API_URL", "password"},
		"API with a query":                    {env{"SLACK_API_URL": "https://slack.com/api/?x=1"}, "SLACK_API_URL", "no “?”"},
		"API without scheme":                  {env{"SLACK_API_URL": "slack.com/api"}, "SLACK_API_URL", "not an address"},
		"API of which no URL can be made":     {env{"SLACK_API_URL": "https://sl ack.com"}, "SLACK_API_URL", "not an address"},
		"API with a port that is none":        {env{"SLACK_API_URL": "https://slack.com:99999/api/"}, "SLACK_API_URL", "port"},
		"command without slash":               {env{"SLACK_COMMAND": "qlik"}, "SLACK_COMMAND", "begin with a slash"},
		"command of two words":                {env{"SLACK_COMMAND": "/qlik do"}, "SLACK_COMMAND", "one word"},
		"slash alone":                         {env{"SLACK_COMMAND": "/"}, "SLACK_COMMAND", "one word"},
		"no connection":                       {env{"SLACK_CONNECTIONS": "0"}, "SLACK_CONNECTIONS", "from 1 to 10"},
		"eleven connections":                  {env{"SLACK_CONNECTIONS": "11"}, "SLACK_CONNECTIONS", "from 1 to 10"},
		"channel by name":                     {env{"SLACK_APPROVALS_CHANNEL": "#approvals"}, "SLACK_APPROVALS_CHANNEL", "not its name"},
		"channel in lower case":               {env{"SLACK_APPROVALS_CHANNEL": "c0approve"}, "SLACK_APPROVALS_CHANNEL", "ID of a channel"},
		"person as channel":                   {env{"SLACK_APPROVALS_CHANNEL": "U0ANA"}, "SLACK_APPROVALS_CHANNEL", "not of a person"},
		"label in upper case":                 {env{"QLIK_TENANTS": "prod,EU"}, "QLIK_TENANTS", "label 2 must be lower-case"},
		"label with an underscore":            {env{"QLIK_TENANTS": "prod,eu_west"}, "QLIK_TENANTS", "label 2 must be lower-case"},
		"label with a hyphen at its end":      {env{"QLIK_TENANTS": "prod,eu-"}, "QLIK_TENANTS", "label 2 must be lower-case"},
		"label twice":                         {env{"QLIK_TENANTS": "prod,prod"}, "QLIK_TENANTS", "label 2 would have the same variables"},
		"labels that collide":                 {env{"QLIK_TENANTS": "prod,PROD"}, "QLIK_TENANTS", "label 2 would have the same variables"},
		"label that means every tenant":       {env{"QLIK_TENANTS": "prod,all"}, "QLIK_TENANTS", "on all"},
		"label that is missing":               {env{"QLIK_TENANTS": "prod,"}, "QLIK_TENANTS", "nothing as label 2"},
		"source that is no tenant":            {env{"QLIK_SOURCE_TENANT": "home"}, "QLIK_SOURCE_TENANT", "one of the labels in QLIK_TENANTS: prod"},
		"default that is no tenant":           {env{"QLIK_DEFAULT_TENANT": "home"}, "QLIK_DEFAULT_TENANT", "one of the labels"},
		"tenant without TLS":                  {env{"QLIK_PROD_URL": "http://prod.example.com"}, "QLIK_PROD_URL", "must be https"},
		"tenant with a path":                  {env{"QLIK_PROD_URL": "https://prod.example.com/api/v1"}, "QLIK_PROD_URL", "without a path"},
		"tenant with a dot at the end":        {env{"QLIK_PROD_URL": "https://prod.example.com."}, "QLIK_PROD_URL", "not an address"},
		"client ID in quotation marks":        {env{"QLIK_PROD_CLIENT_ID": "'client'"}, "QLIK_PROD_CLIENT_ID", "quotation marks"},
		"client secret in two words":          {env{"QLIK_PROD_CLIENT_SECRET": "two words"}, "QLIK_PROD_CLIENT_SECRET", "white space"},
		"client secret that is empty":         {env{"QLIK_PROD_CLIENT_SECRET": ""}, "QLIK_PROD_CLIENT_SECRET", "is not set; set it, or QLIK_PROD_PRIVATE_KEY_FILE"},
		"secret and private key":              {env{"QLIK_PROD_PRIVATE_KEY_FILE": "/k", "QLIK_PROD_KEY_ID": "1"}, "QLIK_PROD_PRIVATE_KEY_FILE", "stands beside QLIK_PROD_CLIENT_SECRET"},
		"secret and key ID":                   {env{"QLIK_PROD_KEY_ID": "1"}, "QLIK_PROD_KEY_ID", "has no effect beside"},
		"secret and its file":                 {env{"QLIK_PROD_CLIENT_SECRET_FILE": "/s"}, "QLIK_PROD_CLIENT_SECRET_FILE", "stands beside QLIK_PROD_CLIENT_SECRET"},
		"token and its file":                  {env{"SLACK_BOT_TOKEN_FILE": "/s"}, "SLACK_BOT_TOKEN_FILE", "stands beside SLACK_BOT_TOKEN"},
		"database and its file":               {env{"DATABASE_URL": "sqlite:bot.db", "DATABASE_URL_FILE": "/s"}, "DATABASE_URL_FILE", "stands beside DATABASE_URL"},
		"policy that does not exist":          {env{"POLICY_FILE": dir + "/none.yaml"}, "POLICY_FILE", dir + "/none.yaml: it does not exist"},
		"policy in no directory":              {env{"POLICY_FILE": dir + "/none/none.yaml"}, "POLICY_FILE", "directory that does not exist"},
		"directory as policy":                 {env{"POLICY_FILE": dir}, "POLICY_FILE", "names a directory"},
		"blueprints":                          {env{"BLUEPRINT_DIR": dir}, "BLUEPRINT_DIR", "not built yet"},
		"key for checkpoints":                 {env{"AUDIT_KEY_FILE": dir}, "AUDIT_KEY_FILE", "not built yet"},
		"PostgreSQL":                          {env{"DATABASE_URL": "postgres://db.example.com/bot"}, "DATABASE_URL", "not built yet"},
		"other database":                      {env{"DATABASE_URL": "mysql://db.example.com/bot"}, "DATABASE_URL", "must be sqlite:PATH"},
		"path without scheme":                 {env{"DATABASE_URL": "bot.db"}, "DATABASE_URL", "must be sqlite:PATH"},
		"database without file":               {env{"DATABASE_URL": "sqlite:"}, "DATABASE_URL", "names no file"},
		"database as a URL":                   {env{"DATABASE_URL": "sqlite://" + dir + "/bot.db"}, "DATABASE_URL", "without //"},
		"database in memory":                  {env{"DATABASE_URL": "sqlite::memory:"}, "DATABASE_URL", "plain file"},
		"database with options":               {env{"DATABASE_URL": "sqlite:" + dir + "/bot.db?mode=memory"}, "DATABASE_URL", "plain file"},
		"database in no directory":            {env{"DATABASE_URL": "sqlite:" + dir + "/none/bot.db"}, "DATABASE_URL", "directory that does not exist"},
		"directory as database":               {env{"DATABASE_URL": "sqlite:" + dir}, "DATABASE_URL", "names a directory"},
		"retention of nothing":                {env{"RETENTION": "0"}, "RETENTION", "longer than nothing"},
		"retention below nothing":             {env{"RETENTION": "-1h"}, "RETENTION", "longer than nothing"},
		"listener without port":               {env{"LISTEN_ADDR": "127.0.0.1"}, "LISTEN_ADDR", "host:port"},
		"listener on a named port":            {env{"LISTEN_ADDR": "127.0.0.1:http"}, "LISTEN_ADDR", "host:port"},
		"format of the log":                   {env{"LOG_FORMAT": "xml"}, "LOG_FORMAT", "text or json"},
		"misspelt Slack variable":             {env{"SLACK_COMAND": "/qlik"}, "SLACK_COMAND", "did you mean SLACK_COMMAND?"},
		"misspelt Qlik variable":              {env{"QLIK_DEFAULT_TENAT": "prod"}, "QLIK_DEFAULT_TENAT", "did you mean QLIK_DEFAULT_TENANT?"},
		"misspelt variable of a tenant":       {env{"QLIK_PROD_CLIENTID": "client"}, "QLIK_PROD_CLIENTID", "did you mean QLIK_PROD_CLIENT_ID?"},
		"misspelt tenant":                     {env{"QLIK_PORD_CLIENT_ID": "client"}, "QLIK_PORD_CLIENT_ID", "did you mean QLIK_PROD_CLIENT_ID?"},
		"variable of a tenant not listed":     {env{"QLIK_STAGING_URL": "https://staging.example.com"}, "QLIK_STAGING_URL", "belongs to no tenant in QLIK_TENANTS"},
		"unknown variable, even an empty one": {env{"SLACK_SIGNING_SECRET": ""}, "SLACK_SIGNING_SECRET", "is not a variable of the bot"},
		"file of what is no secret":           {env{"SLACK_COMMAND_FILE": "/s"}, "SLACK_COMMAND_FILE", "is not a variable of the bot"},
	} {
		t.Run(name, func(t *testing.T) {
			wantProblems(t, complete(t).with(tc.set), map[string]string{tc.variable: tc.text})
		})
	}
}

func TestTwoLabelsForOneTenantAreRefused(t *testing.T) {
	for _, url := range []string{"https://prod.example.com/", "https://PROD.example.com", "HTTPS://prod.example.com:443"} {
		wantProblems(t, complete(t).with(env{
			"QLIK_TENANTS": "prod,copy", "QLIK_COPY_URL": url,
			"QLIK_COPY_CLIENT_ID": "c", "QLIK_COPY_CLIENT_SECRET": testSecret,
		}), map[string]string{"QLIK_COPY_URL": "same address as QLIK_PROD_URL"})
	}
}

func TestAPrivateKeyNeedsItsID(t *testing.T) {
	base := complete(t).without("QLIK_PROD_CLIENT_SECRET")
	wantProblems(t, base.with(env{"QLIK_PROD_PRIVATE_KEY_FILE": rsaKey(t, 2048)}),
		map[string]string{"QLIK_PROD_KEY_ID": "needed beside QLIK_PROD_PRIVATE_KEY_FILE"})
	wantProblems(t, base.with(env{"QLIK_PROD_KEY_ID": "1"}),
		map[string]string{"QLIK_PROD_PRIVATE_KEY_FILE": "needed beside QLIK_PROD_KEY_ID"})
}

func TestPrivateKeysThatQlikDoesNotTakeAreRefused(t *testing.T) {
	pemFile := func(block string, der []byte) string {
		return file(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der})), 0o600)
	}
	for name, tc := range map[string]struct{ path, text string }{
		"no PEM":             {file(t, "key", "not a key", 0o600), "not PEM"},
		"empty":              {file(t, "key", "\n", 0o600), "is empty"},
		"PEM of something":   {pemFile("PRIVATE KEY", []byte("x")), "without a private key"},
		"short RSA":          {rsaKey(t, 1024), "too short"},
		"ECDSA on P-256":     {ecKey(t, elliptic.P256()), "another curve than P-384"},
		"a directory":        {t.TempDir(), "names a directory"},
		"more than a secret": {file(t, "key", strings.Repeat("x", maxSecretFile+1), 0o600), "is no secret"},
	} {
		t.Run(name, func(t *testing.T) {
			wantProblems(t, complete(t).without("QLIK_PROD_CLIENT_SECRET").with(env{
				"QLIK_PROD_PRIVATE_KEY_FILE": tc.path, "QLIK_PROD_KEY_ID": "1",
			}), map[string]string{"QLIK_PROD_PRIVATE_KEY_FILE": tc.text})
		})
	}
}

func TestAnECDSAKeyOnP384IsTaken(t *testing.T) {
	c := mustRead(t, complete(t).without("QLIK_PROD_CLIENT_SECRET").with(env{
		"QLIK_PROD_PRIVATE_KEY_FILE": ecKey(t, elliptic.P384()), "QLIK_PROD_KEY_ID": "1",
	}))
	tenant, ok := c.Qlik.Tenant("prod")
	if !ok || !tenant.PrivateKey.IsSet() || tenant.ClientSecret.IsSet() || tenant.KeyID != "1" {
		t.Errorf("the tenant is %+v", tenant)
	}
}

func TestASecretFileThatCannotBeUsedIsNamed(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct{ path, text string }{
		"missing":            {dir + "/none", dir + "/none: it does not exist"},
		"empty":              {file(t, "s", "\n", 0o600), "is empty"},
		"a directory":        {dir, "names a directory"},
		"wrong kind":         {file(t, "s", testAppToken, 0o600), "belongs in SLACK_APP_TOKEN"},
		"with a space":       {file(t, "s", testBotToken+" x", 0o600), "white space"},
		"in quotation marks": {file(t, "s", `"`+testBotToken+`"`, 0o600), "quotation marks"},
	} {
		t.Run(name, func(t *testing.T) {
			e := complete(t).without("SLACK_BOT_TOKEN").with(env{"SLACK_BOT_TOKEN_FILE": tc.path})
			wantProblems(t, e, map[string]string{"SLACK_BOT_TOKEN_FILE": tc.text})
		})
	}
}

// Whatever goes wrong, and into whichever variable a secret was put by mistake:
// its text is not in what is reported.
func TestProblemsNeverHoldAValue(t *testing.T) {
	values := []string{
		sentinel, testBotToken + sentinel + " ", `"` + sentinel + `"`, "https://me:" + sentinel + "@%zz",
		"http://" + sentinel, "https://host/" + sentinel + "?" + sentinel, "postgres://me:" + sentinel + "@db/bot",
		"sqlite:/none/" + sentinel, "/" + sentinel, "prod," + sentinel + "_", "/none/" + sentinel, "xoxe." + sentinel,
		"\x7f" + sentinel,
	}
	names := slices.Concat(globalNames(), []string{"SLACK_BOT_TOKEM", "QLIK_STAGING_URL", "OTEL_SERVICE_NAME"})
	for _, suffix := range tenantSuffixes() {
		names = append(names, "QLIK_PROD"+suffix)
	}
	problems := 0
	for _, name := range names {
		for _, value := range values {
			e := complete(t).with(env{name: value})
			if base, isFile := strings.CutSuffix(name, suffixFile); isFile {
				e = e.without(base)
			}
			if name == "QLIK_PROD_PRIVATE_KEY_FILE" {
				e = e.without("QLIK_PROD_CLIENT_SECRET")
			}
			c, err := read(t, e, NeedAll)
			if err != nil {
				problems++
				if leaks(err.Error()) {
					t.Errorf("%s=%s: %v", name, value, err)
				}
				continue
			}
			for _, w := range c.Warnings {
				if leaks(w.String()) {
					t.Errorf("%s=%s: %v", name, value, w)
				}
			}
		}
	}
	if problems < len(names)*len(values)/2 {
		t.Errorf("only %d of %d environments were refused: the test has lost its point", problems, len(names)*len(values))
	}
}

package config

import (
	"os"
	"reflect"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// What envconfig fills. Every field is a text or a Secret, so that decoding
// cannot fail: envconfig stops at the first failure and prints the value.
//
// Tags besides envconfig's own: must:"yes" for a variable without which the bot
// does not start; empty:"off" where set and empty says something, whereas it
// elsewhere means not set.

// variables are those that do not belong to a tenant. They are decoded without a
// prefix and with their whole name in the tag: given a prefix, envconfig would
// fall back to the name without it.
type variables struct {
	SlackBotToken         Secret `envconfig:"SLACK_BOT_TOKEN" must:"yes"`
	SlackBotTokenFile     string `envconfig:"SLACK_BOT_TOKEN_FILE"`
	SlackAppToken         Secret `envconfig:"SLACK_APP_TOKEN" must:"yes"`
	SlackAppTokenFile     string `envconfig:"SLACK_APP_TOKEN_FILE"`
	SlackAPIURL           string `envconfig:"SLACK_API_URL" default:"https://slack.com/api/"`
	SlackCommand          string `envconfig:"SLACK_COMMAND" default:"/qlik"`
	SlackConnections      string `envconfig:"SLACK_CONNECTIONS" default:"2"`
	SlackApprovalsChannel string `envconfig:"SLACK_APPROVALS_CHANNEL"`

	QlikTenants       string `envconfig:"QLIK_TENANTS" must:"yes"`
	QlikSourceTenant  string `envconfig:"QLIK_SOURCE_TENANT"`
	QlikDefaultTenant string `envconfig:"QLIK_DEFAULT_TENANT"`

	PolicyFile string `envconfig:"POLICY_FILE" must:"yes"`

	// BLUEPRINT_DIR: a directory of blueprints. Blueprints are not built yet: the
	// bot does not start while this is set.
	BlueprintDir string `envconfig:"BLUEPRINT_DIR"`

	DatabaseURL     Secret `envconfig:"DATABASE_URL" default:"sqlite:bot.db"`
	DatabaseURLFile string `envconfig:"DATABASE_URL_FILE"`

	// AUDIT_KEY_FILE: an Ed25519 key that signs checkpoints of the audit record.
	// Checkpoints are not built yet: the bot does not start while this is set.
	AuditKeyFile string `envconfig:"AUDIT_KEY_FILE"`

	Retention  string `envconfig:"RETENTION" default:"8760h"`
	ListenAddr string `envconfig:"LISTEN_ADDR" default:"127.0.0.1:8086" empty:"off"`
	LogLevel   string `envconfig:"LOG_LEVEL" default:"info"`
	LogFormat  string `envconfig:"LOG_FORMAT" default:"text"`
}

// tenantVariables are those of one tenant, decoded with the prefix QLIK_<LABEL>.
// Without an envconfig tag the names come from the fields alone, and nothing is
// ever read under a name without the prefix.
type tenantVariables struct {
	URL              string `split_words:"true" must:"yes"`
	ClientID         string `split_words:"true" must:"yes"`
	ClientSecret     Secret `split_words:"true"`
	ClientSecretFile string `split_words:"true"`
	PrivateKeyFile   string `split_words:"true"`
	KeyID            string `split_words:"true"`
}

// The endings of a tenant's variables.
const (
	suffixURL            = "_URL"
	suffixClientID       = "_CLIENT_ID"
	suffixClientSecret   = "_CLIENT_SECRET"
	suffixPrivateKeyFile = "_PRIVATE_KEY_FILE"
	suffixKeyID          = "_KEY_ID"
	suffixFile           = "_FILE" // of any secret
)

// tenantSuffixes gives the ending of every variable that a tenant can have.
func tenantSuffixes() []string {
	return []string{
		suffixURL, suffixClientID, suffixClientSecret, suffixClientSecret + suffixFile,
		suffixPrivateKeyFile, suffixKeyID,
	}
}

// tenantPrefix is what the names of a tenant's variables begin with.
func tenantPrefix(label string) string {
	return "QLIK_" + strings.ToUpper(strings.ReplaceAll(label, "-", "_"))
}

// globalNames gives the name of every variable that does not belong to a tenant.
func globalNames() []string {
	t := reflect.TypeFor[variables]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("envconfig")
	}
	return names
}

// decode lets envconfig fill variables or tenantVariables, and gives the default
// to what is set but empty.
func (r *reader) decode(prefix string, into any) {
	if err := envconfig.Process(prefix, into); err != nil {
		// Cannot happen, see above; and the error may hold a value, so it ends here.
		r.problem(prefix, "cannot be decoded")
		return
	}
	v := reflect.ValueOf(into).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		value := tag.Get("default")
		if value == "" || tag.Get("empty") == "off" || !v.Field(i).IsZero() {
			continue
		}
		switch field := v.Field(i).Addr().Interface().(type) {
		case *string:
			*field = value
		case *Secret:
			*field = NewSecret(value)
		}
	}
}

// environment gives the names that are set, and whether to more than nothing.
func environment() map[string]bool {
	filled := make(map[string]bool)
	for _, entry := range os.Environ() {
		if name, value, ok := strings.Cut(entry, "="); ok {
			filled[name] = value != ""
		}
	}
	return filled
}

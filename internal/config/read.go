package config

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const sqliteScheme = "sqlite:"

// Read reads the parts that are needed from the environment of this process.
// Either the Config can be used as it is, or the error is a [Problems] with all
// that is wrong.
//
// It reads os.Environ and the files that variables name, and keeps nothing: what
// changes later is not seen. Tests set variables with t.Setenv.
func Read(need Need) (*Config, error) {
	if need.has(NeedQlik) {
		need |= NeedLabels
	}
	r := &reader{filled: environment()}
	var v variables
	r.decode("", &v)

	c := &Config{
		Retention:  r.retention(v.Retention),
		ListenAddr: r.listenAddr(v.ListenAddr),
		LogLevel:   r.logLevel(v.LogLevel),
		LogFormat:  r.logFormat(v.LogFormat),
	}
	if need.has(NeedSlack) {
		c.Slack = r.slack(v)
	}
	if need.has(NeedLabels) {
		c.Qlik = r.qlik(v, need)
	}
	if need.has(NeedPolicy) {
		c.PolicyFile = r.policyFile(v.PolicyFile)
	}
	if need.has(NeedDatabase) {
		c.DatabaseURL = r.databaseURL(v)
	}
	r.notBuilt("BLUEPRINT_DIR", "blueprints are", v.BlueprintDir)
	r.notBuilt("AUDIT_KEY_FILE", "signed checkpoints of the audit record are", v.AuditKeyFile)
	r.misspelt(need, c.Qlik.Labels())
	r.telemetry()

	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	c.Warnings = r.warnings.sorted()
	return c, nil
}

// reader gathers what is found while reading.
type reader struct {
	filled   map[string]bool // the names that are set; true where not to nothing
	problems Problems
	warnings Problems

	// badTenants says that QLIK_TENANTS is not to be relied on when names are
	// judged.
	badTenants bool
}

func (r *reader) problem(variable, text string) {
	r.problems = append(r.problems, Problem{variable, text})
}

func (r *reader) warning(variable, text string) {
	r.warnings = append(r.warnings, Problem{variable, text})
}

// plain takes the value of a variable that is no secret: spaces around it go.
func (r *reader) plain(name, value string) string {
	value = strings.TrimSpace(value)
	if quoted(value) {
		r.problem(name, textQuoted)
		return ""
	}
	return value
}

// obligatory is plain for a variable that must be set.
func (r *reader) obligatory(name, value string) string {
	if strings.TrimSpace(value) == "" {
		r.problem(name, r.missing(name))
		return ""
	}
	return r.plain(name, value)
}

func (r *reader) missing(name string) string {
	if _, set := r.filled[name]; set {
		return "is set but empty; the bot does not start without it"
	}
	return "is not set; the bot does not start without it"
}

// notBuilt refuses what would otherwise be silently without effect.
func (r *reader) notBuilt(name, what, value string) {
	if value != "" {
		r.problem(name, what+" not built yet, so this would have no effect; remove the variable")
	}
}

// telemetry: OTEL_* variables are often put into every container of a cluster,
// so they cannot be refused; without effect in silence they must not be either.
func (r *reader) telemetry() {
	for name, filled := range r.filled {
		if strings.HasPrefix(name, "OTEL_") && filled {
			r.warning(name, "has no effect: exporting OpenTelemetry data is not built yet")
		}
	}
}

func (r *reader) policyFile(value string) string {
	const name = "POLICY_FILE"
	path := r.obligatory(name, value)
	if path == "" {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		r.problem(name, fileProblem(path, err))
		return ""
	}
	info, err := f.Stat()
	_ = f.Close() // opened for reading only: nothing can be lost
	if err != nil {
		r.problem(name, fileProblem(path, err))
	} else if info.IsDir() {
		r.problem(name, "names a directory; it must name the policy file")
	}
	return path
}

func (r *reader) databaseURL(v variables) Secret {
	const name = "DATABASE_URL"
	s, ok := r.secret(name, v.DatabaseURL, v.DatabaseURLFile)
	if !ok {
		return Secret{}
	}
	if text := databaseProblem(s.Reveal()); text != "" {
		r.problem(name, text)
	}
	return s
}

func databaseProblem(value string) string {
	if strings.HasPrefix(value, "postgres://") || strings.HasPrefix(value, "postgresql://") {
		return "names a PostgreSQL database, which is not built yet; use sqlite:PATH"
	}
	path, ok := strings.CutPrefix(value, sqliteScheme)
	switch {
	case !ok:
		return "must be sqlite:PATH, for example sqlite:/data/bot.db"
	case path == "":
		return "names no file; it must be sqlite:PATH, for example sqlite:/data/bot.db"
	case strings.HasPrefix(path, "//"):
		return "must be sqlite:PATH without // before the path, for example sqlite:/data/bot.db"
	case strings.Contains(path, ":memory:"), strings.HasPrefix(path, "file:"), strings.Contains(path, "?"):
		return "must name a plain file, without options: what the bot has promised must outlive it"
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return "names a file in a directory that does not exist or cannot be read; make the directory first"
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return "names a directory; it must name a file"
	}
	return ""
}

func (r *reader) retention(value string) time.Duration {
	const name = "RETENTION"
	d, err := time.ParseDuration(r.plain(name, value))
	if err != nil || d <= 0 {
		r.problem(name, "must be a length of time longer than nothing, in hours, minutes or seconds, such as 8760h for a year")
		return 0
	}
	return d
}

func (r *reader) listenAddr(value string) string {
	const name = "LISTEN_ADDR"
	value = r.plain(name, value)
	if value == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		r.problem(name, "must be host:port, such as 127.0.0.1:8086, or empty to turn it off")
		return ""
	}
	return value
}

func (r *reader) logLevel(value string) slog.Level {
	switch strings.ToLower(r.plain("LOG_LEVEL", value)) {
	case "debug":
		return slog.LevelDebug
	case "info":
		return slog.LevelInfo
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	r.problem("LOG_LEVEL", "must be debug, info, warn or error")
	return slog.LevelInfo
}

func (r *reader) logFormat(value string) string {
	value = strings.ToLower(r.plain("LOG_FORMAT", value))
	if value != "text" && value != "json" {
		r.problem("LOG_FORMAT", "must be text or json")
	}
	return value
}

func (r *reader) slack(v variables) Slack {
	s := Slack{
		BotToken: r.token("SLACK_BOT_TOKEN", v.SlackBotToken, v.SlackBotTokenFile, botToken),
		AppToken: r.token("SLACK_APP_TOKEN", v.SlackAppToken, v.SlackAppTokenFile, appToken),
		Command:  r.slashCommand(v.SlackCommand),
	}
	s.APIURL, s.Loopback = r.slackAPIURL(v.SlackAPIURL)
	s.Connections = r.connections(v.SlackConnections)
	s.ApprovalsChannel = r.channel(v.SlackApprovalsChannel)
	return s
}

func (r *reader) slackAPIURL(value string) (address string, loopback bool) {
	const name = "SLACK_API_URL"
	value = r.plain(name, value)
	if value == "" {
		return "", false
	}
	u, text := parseAddress(value)
	if text != "" {
		r.problem(name, text)
		return "", false
	}
	// slack-go appends a method's name to it as it is.
	u.Path = strings.TrimRight(u.Path, "/") + "/"
	return u.String(), u.Scheme == "http"
}

// A slash command, as Slack's app manifest takes it: at most 32 characters.
var slashCommand = regexp.MustCompile(`^/[^\s/]{1,31}$`)

func (r *reader) slashCommand(value string) string {
	const name = "SLACK_COMMAND"
	value = r.plain(name, value)
	switch {
	case value == "" || slashCommand.MatchString(value):
		return value
	case !strings.HasPrefix(value, "/"):
		r.problem(name, "must begin with a slash, such as /qlik")
	default:
		r.problem(name, "must be one word of at most 32 characters with one slash, its first, such as /qlik")
	}
	return ""
}

func (r *reader) connections(value string) int {
	const name = "SLACK_CONNECTIONS"
	n, err := strconv.Atoi(r.plain(name, value))
	if err != nil || n < 1 || n > 10 {
		r.problem(name, "must be a whole number from 1 to 10; Slack allows no more connections than 10")
	}
	return n
}

var channelID = regexp.MustCompile(`^[CG][A-Z0-9]+$`)

func (r *reader) channel(value string) string {
	const name = "SLACK_APPROVALS_CHANNEL"
	value = r.plain(name, value)
	switch {
	case value == "" || channelID.MatchString(value):
		return value
	case strings.HasPrefix(value, "D"), strings.HasPrefix(value, "U"), strings.HasPrefix(value, "W"):
		r.problem(name, "must be the ID of a channel, which begins with C or G, not of a person or a direct message")
	default:
		r.problem(name, "must be the ID of a channel, such as C0APPROVE, not its name; Slack shows it at the end of the channel's details")
	}
	return ""
}

var label = regexp.MustCompile(`^[a-z0-9]+(-+[a-z0-9]+)*$`)

func (r *reader) qlik(v variables, need Need) Qlik {
	labels := r.labels(v.QlikTenants)
	q := Qlik{Tenants: make([]Tenant, len(labels))}
	for i, l := range labels {
		if q.Tenants[i].Label = l; need.has(NeedQlik) {
			q.Tenants[i] = r.tenant(l)
		}
	}
	r.sameTenant(q.Tenants)
	q.SourceTenant = r.oneOf("QLIK_SOURCE_TENANT", v.QlikSourceTenant, labels)
	q.DefaultTenant = r.oneOf("QLIK_DEFAULT_TENANT", v.QlikDefaultTenant, labels)
	if q.DefaultTenant == "" && len(labels) == 1 {
		q.DefaultTenant = labels[0]
	}
	return q
}

// labels gives the labels that are right.
func (r *reader) labels(value string) []string {
	const name = "QLIK_TENANTS"
	before := len(r.problems)
	defer func() { r.badTenants = len(r.problems) > before }()

	value = r.obligatory(name, value)
	if value == "" {
		return nil
	}
	var labels []string
	taken := make(map[string]bool) // by what their variables begin with
	for i, l := range strings.Split(value, ",") {
		l = strings.TrimSpace(l)
		prefix := tenantPrefix(l)
		switch {
		case l == "":
			r.problem(name, fmt.Sprintf("has nothing as label %d; write labels separated by single commas", i+1))
		case taken[prefix]:
			r.problem(name, fmt.Sprintf("label %d would have the same variables as one before it; give each tenant a label of its own", i+1))
		case !label.MatchString(l):
			r.problem(name, fmt.Sprintf("label %d must be lower-case letters, digits and hyphens between them", i+1))
		case l == "all":
			r.problem(name, fmt.Sprintf("label %d is the word for every tenant in commands (“on all”); choose another", i+1))
		default:
			labels = append(labels, l)
		}
		taken[prefix] = true
	}
	return labels
}

func (r *reader) oneOf(name, value string, labels []string) string {
	value = r.plain(name, value)
	if value == "" || r.badTenants || slices.Contains(labels, value) {
		return value
	}
	r.problem(name, "must be one of the labels in QLIK_TENANTS: "+strings.Join(labels, ", "))
	return ""
}

// sameTenant refuses two labels for one address: what the policy says of one
// label could be got round by naming the other.
func (r *reader) sameTenant(tenants []Tenant) {
	first := make(map[string]string)
	for _, t := range tenants {
		if t.URL == "" {
			continue
		}
		if other, ok := first[t.URL]; ok {
			r.problem(tenantPrefix(t.Label)+suffixURL,
				"is the same address as "+tenantPrefix(other)+suffixURL+"; a tenant with two labels could be reached round the rules for one of them")
			continue
		}
		first[t.URL] = t.Label
	}
}

func (r *reader) tenant(label string) Tenant {
	prefix := tenantPrefix(label)
	var v tenantVariables
	r.decode(prefix, &v)

	t := Tenant{Label: label, ClientID: r.obligatory(prefix+suffixClientID, v.ClientID)}
	t.URL = r.tenantURL(prefix+suffixURL, v.URL)
	r.credentials(prefix, v, &t)
	return t
}

func (r *reader) tenantURL(name, value string) string {
	value = r.obligatory(name, value)
	if value == "" {
		return ""
	}
	u, text := parseAddress(value)
	if text == "" && strings.Trim(u.Path, "/") != "" {
		text = "must be scheme and host alone, such as https://example.eu.qlikcloud.com, without a path"
	}
	if text != "" {
		r.problem(name, text)
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// credentials: a secret, or a private key and its ID; exactly one of the two.
func (r *reader) credentials(prefix string, v tenantVariables, t *Tenant) {
	var (
		secret  = prefix + suffixClientSecret
		keyFile = prefix + suffixPrivateKeyFile
		keyID   = prefix + suffixKeyID

		hasSecret = r.filled[secret] || r.filled[secret+suffixFile]
		hasKey    = v.PrivateKeyFile != ""
		hasKeyID  = v.KeyID != ""
	)
	switch {
	case hasSecret && hasKey:
		r.problem(keyFile, "stands beside "+secret+"; a client proves itself in one way, so remove one of them")
	case hasSecret && hasKeyID:
		r.problem(keyID, "belongs to "+keyFile+" and has no effect beside "+secret+"; remove it")
	case hasSecret:
		if s, ok := r.secretWord(secret, v.ClientSecret, v.ClientSecretFile); ok {
			t.ClientSecret = s
		}
	case hasKey:
		t.PrivateKey = r.privateKey(keyFile, v.PrivateKeyFile)
		if t.KeyID = r.plain(keyID, v.KeyID); t.KeyID == "" {
			r.problem(keyID, "is not set; it is needed beside "+keyFile)
		}
	case hasKeyID:
		r.problem(keyFile, "is not set; it is needed beside "+keyID)
	default:
		r.problem(secret, "is not set; set it, or "+keyFile+" and "+keyID+" for a private key")
	}
}

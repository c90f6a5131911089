package architecture

// The module's own path; everything below is relative to it.
const module = "github.com/qlik-chatops/bot"

// room is one place in the tree and what it may import of ours. A package below
// it belongs to the same room unless it has a line of its own, and packages of
// one room may import each other.
type room struct {
	path string
	// may lists other rooms; nil is none, and anything is all of them.
	may []string
	// why is told to whoever breaks the rule.
	why string
}

// anything stands for every room of ours.
const anything = "*"

// Rooms from the inside out. The arrows are those of one change on its way from
// typing to truth; see docs/architecture.md.
var rooms = []room{
	{"internal/architecture", nil, "it looks at the tree from outside"},
	{"internal/spelling", nil, "it knows words, not what they are for"},
	{"internal/config", []string{"internal/spelling"}, "the configuration knows none of those who use it"},
	{"internal/authz", []string{"internal/spelling"}, "a verdict is a pure function of the policy and of facts handed in; it knows neither Slack nor Qlik"},
	{"internal/audit", nil, "the record is the same whatever is recorded in it"},
	{"internal/qlik", nil, "the client speaks Qlik's language alone; it knows neither Slack nor who may do what"},
	{"internal/approval", []string{"internal/audit"}, "the life of a request is a pure state machine: it says what is to be recorded and decides nothing by looking at Slack, Qlik or a database"},
	{"internal/execution", []string{"internal/approval", "internal/audit"}, "it runs steps behind an interface of its own, and so cannot reach Slack or Qlik past the checks"},
	{"internal/steps", []string{"internal/approval", "internal/execution", "internal/qlik"}, "a step writes to Qlik and reads it back; whether it may is decided before it runs"},
	{"internal/commands", []string{"internal/approval", "internal/authz", "internal/qlik", "internal/spelling", "internal/steps"}, "a command declares a plan; it neither runs nor renders it, so it cannot forget a check"},
	{"internal/store", []string{"internal/approval", "internal/audit", "internal/execution"}, "the store fulfils the interfaces that these declare, and nothing else depends on a database"},
	{"internal/slackapp/socket", nil, "the loop carries envelopes and must not know what is in them"},
	{"internal/slackapp", []string{"internal/approval", "internal/audit", "internal/authz", "internal/commands", "internal/slackapp/socket"}, "it shows and asks; what is done about a click is decided in the pipeline"},
	{"internal/bot", []string{
		"internal/approval", "internal/audit", "internal/authz", "internal/commands", "internal/config",
		"internal/execution", "internal/qlik", "internal/slackapp", "internal/slackapp/socket", "internal/steps", "internal/store",
	}, "the bot is the same whether Slack and Qlik are real or not, so it cannot know the emulators"},
	{"internal/emulator/slack", nil, "an emulator written from our own types would agree with our mistakes"},
	{"internal/emulator/qlik", nil, "an emulator written from our own types would agree with our mistakes"},
	{"internal/playground", []string{anything}, ""},
	{"deploy", nil, "it is files; what they must agree with, its tests may import"},
	{"cmd/bot", []string{anything}, ""},
}

// fromAnywhere are rooms whose tests may import everything.
var fromAnywhere = []string{"deploy"}

// inTests is what the tests of a room may import beyond what the room may,
// except for those that must not even then. The store is among it because a
// pretended one would hide what a transaction forbids.
var (
	inTests      = []string{"internal/emulator/slack", "internal/emulator/qlik", "internal/playground", "internal/store"}
	notEvenTests = []string{"internal/emulator/slack", "internal/emulator/qlik", "internal/architecture"}
)

// keeper says where alone a library or a package of the standard library may be
// imported. A path covers the packages below it.
type keeper struct {
	library string
	in      []string // rooms and packages below them
	except  []string // packages below those that may not
	tests   bool     // any test may, except those in notEvenTests
	why     string
}

var keepers = []keeper{
	{"github.com/slack-go/slack", []string{"internal/slackapp"}, []string{"internal/slackapp/socket"}, false,
		"slack-go's types stay behind slackapp; its socket client loses acknowledgements, and an emulator made of its types would agree with its mistakes"},
	{"github.com/kelseyhightower/envconfig", []string{"internal/config"}, nil, false, "the environment has one reader"},
	{"modernc.org/sqlite", []string{"internal/store"}, nil, false, "the database is reached through the store alone"},
	{"github.com/jackc/pgx", []string{"internal/store"}, nil, false, "the database is reached through the store alone"},
	{"database/sql", []string{"internal/store"}, nil, true, "the database is reached through the store alone"},
	{"github.com/pressly/goose", []string{"internal/store"}, nil, false, "the schema is changed by the store alone"},
	{"github.com/gofrs/flock", []string{"internal/store"}, nil, false, "the store alone knows that SQLite means one process"},
	{"golang.org/x/oauth2", []string{"internal/qlik"}, nil, false, "tokens of Qlik are got, cached and renewed by its client alone"},
	{"github.com/coder/websocket", []string{"internal/slackapp/socket", "internal/emulator/slack"}, nil, true, "one loop owns the socket, and one emulator answers it"},
	{"github.com/chromedp", nil, nil, true, "a browser is for tests"},
	{"github.com/rogpeppe/go-internal", nil, nil, true, "scripts are for tests"},
	{"github.com/google/go-cmp", nil, nil, true, "go-cmp panics when it is unsure, which only a test may"},
	{"testing", nil, nil, true, "what runs in production must not know that it is tested"},
	{"unsafe", nil, nil, false, "nothing here needs it"},
}

// noNames are packages that would become drawers for whatever has no place.
var noNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "lib", "tools"}

// onlyConfig are the functions that read the environment. Tests may, to find
// what they need.
var (
	onlyConfig  = []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}
	environment = "internal/config"
)

package slack

import (
	"encoding/json"
	"errors"
	"log/slog"
	"time"
)

// Config says what workspace and what app the emulator plays. The zero value
// is usable: every empty field gets the default named at it.
type Config struct {
	// BaseURL is where the app reaches the emulator, for example
	// http://127.0.0.1:1234. It is minted into the ws:// and response_url
	// addresses. Empty: the Host of the app's latest Web API call.
	BaseURL string

	TeamID     string // "T0HOME"
	TeamName   string // "Home"
	TeamDomain string // "home"
	AppID      string // "A0BOT"
	BotUserID  string // "U0BOT": what messages and auth.test name as user
	BotID      string // "B0BOT": what messages name as bot_id
	BotName    string // "qlik"
	Command    string // "/qlik": the one slash command of the app

	// EnterpriseID puts the workspace into an Enterprise Grid organisation.
	EnterpriseID   string
	EnterpriseName string

	BotToken string // "xoxb-" and made-up letters
	AppToken string // "xapp-" and made-up letters; has connections:write

	// Scopes are the bot token's. Empty: commands, chat:write, users:read,
	// users:read.email, usergroups:read, channels:read, groups:read, im:write.
	Scopes []string

	// Events are the subscribed bot events. Empty: app_home_opened,
	// user_change, subteam_members_changed, subteam_updated. An event whose
	// scope is not granted is not sent.
	Events []string

	// Seed makes the choice of connection, and every ID, reproducible.
	Seed uint64
	// Routing picks the connection for an envelope. Default [RouteRandom].
	Routing Routing

	PingInterval    time.Duration // WebSocket pings from the server; 10 s
	ConnectionLife  time.Duration // until the planned refresh; 1 h (6 min with debug_reconnects=true)
	GhostLife       time.Duration // how long a vanished client stays registered; 2 min, negative: not at all
	TicketLife      time.Duration // how long a wss address may wait for its use; 30 s
	MaxConnections  int           // registered connections before too_many_websockets; 10
	AckDeadline     time.Duration // 3 s
	TriggerLife     time.Duration // 3 s
	ResponseURLLife time.Duration // 30 min
	ResponseURLUses int           // 5
	EditWindow      time.Duration // after which chat.update answers edit_window_closed; 0: never

	// NoRateLimits switches the 429s off, except those asked for by a Fault.
	NoRateLimits bool
	// NamedMentions gives mentions in slash text the older form <@U123|name>.
	NamedMentions bool
	// MailtoLinks gives e-mail addresses in slash text the form
	// <mailto:a@example.com|a@example.com>.
	MailtoLinks bool
	// NoEscape is should_escape: false; the text arrives as it was typed.
	NoEscape bool
	// NumberCounts gives subteam_members_changed its counts as numbers, as
	// Slack's type definitions have them. Its documented example has strings.
	NumberCounts bool
	// NoHomeTab makes views.publish answer not_enabled.
	NoHomeTab bool
	// NoMessagesTab makes a post to a DM answer messages_tab_disabled.
	NoMessagesTab bool

	// Logger gets what the app did wrong on the wire, for example an
	// acknowledgement on the wrong connection. Nil: nothing is logged.
	Logger *slog.Logger
}

// Routing is how the one connection that gets an envelope is chosen.
type Routing int

const (
	RouteRandom     Routing = iota // seeded by Config.Seed
	RouteRoundRobin                // in order of connecting
)

// User is a person, a guest, an external person or a bot.
type User struct {
	ID           string
	TeamID       string // empty: the app's own workspace; another: external
	EnterpriseID string // the person's own organisation; empty: none
	Name         string // the handle, "ana"
	RealName     string
	DisplayName  string // empty: RealName
	Email        string
	TZ           string // "Europe/Vienna"; empty: UTC
	Locale       string // "en-US" if empty

	Deleted           bool // deactivated
	IsBot             bool
	IsWorkflowBot     bool
	IsRestricted      bool // guest
	IsUltraRestricted bool // single-channel guest; implies IsRestricted on the wire
	IsStranger        bool // external, and shares no channel with the app
	IsAdmin           bool
	IsOwner           bool
}

// UserGroup is a set of people with a handle.
type UserGroup struct {
	ID       string
	Name     string // "Operations"
	Handle   string // "ops", without @
	Members  []string
	Disabled bool
}

// Channel is a public or private channel or a direct conversation between a
// person and the app (IsIM, Members holding that person).
type Channel struct {
	ID                 string
	Name               string
	IsPrivate          bool
	IsExtShared        bool // shared with another organisation
	IsPendingExtShared bool
	IsShared           bool // as IsExtShared, or shared inside a Grid organisation
	IsIM               bool
	IsArchived         bool
	BotIsMember        bool
	Members            []string // people, without the bot
}

// Status is how an interaction ended for the person who began it.
type Status string

const (
	// Acknowledged: in time, on the right connection.
	Acknowledged Status = "acknowledged"
	// OperationTimeout: a slash command that was not acknowledged in time.
	OperationTimeout Status = "operation_timeout"
	// DispatchFailed: no connection to send the envelope to.
	DispatchFailed Status = "dispatch_failed"
	// InteractionFailed: a click, shortcut or closed form that was not
	// acknowledged in time; Slack shows a warning sign beside the button.
	InteractionFailed Status = "interaction_failed"
	// SubmissionFailed: a form that was not acknowledged in time, or whose
	// answer Slack could not use. The form stays open.
	SubmissionFailed Status = "submission_failed"
	// EventFailed: the first delivery of an event was not acknowledged; it
	// will be delivered again.
	EventFailed Status = "event_failed"
)

// Outcome is what became of one interaction.
type Outcome struct {
	Status       Status
	EnvelopeID   string
	ConnectionID string          // which connection got the envelope
	Latency      time.Duration   // from delivery to acknowledgement; 0 unless Acknowledged
	Sent         json.RawMessage // the payload in the envelope, with its trigger_id and response_url
	Payload      json.RawMessage // what the acknowledgement carried, or nil

	// ResponseAction is set for an acknowledged view submission: "" (the form
	// closed), "errors", "update", "push" or "clear".
	ResponseAction string
	// Errors are the field errors now shown in the form, by block_id.
	Errors map[string]string
	// Message is what the payload of a slash command's acknowledgement posted.
	Message *Message
	// Problem says in words why an answer could not be used, for example the
	// first complaint about its blocks. Empty when all went well.
	Problem string
}

// OK reports whether the interaction was acknowledged and its answer usable.
func (o Outcome) OK() bool { return o.Status == Acknowledged && o.Problem == "" }

// Errors of acting as a person. They mean that Slack's own client would not
// let the person do it: nothing was sent to the app.
var (
	ErrUnknownUser    = errors.New("no such user")
	ErrUnknownChannel = errors.New("no such channel")
	ErrDeactivated    = errors.New("the account is deactivated")
	ErrNotAPerson     = errors.New("bots and workflows cannot do this")
	ErrExternal       = errors.New("only members of the app's workspace can do this")
	ErrNotInChannel   = errors.New("not a member of the channel")
	ErrArchived       = errors.New("the channel is archived")
	ErrNoMessage      = errors.New("no such message for this person")
	ErrNoElement      = errors.New("no such element")
	ErrNoView         = errors.New("no such view for this person")
	ErrInput          = errors.New("the form does not accept this input")
	ErrNotSubscribed  = errors.New("the app is not subscribed to the event, or lacks its scope")
	ErrClosed         = errors.New("the emulator is closed")
)

// Message is a message as one moment shows it, with all its former states.
type Message struct {
	Channel     string
	TS          string // also its identity within the channel
	ThreadTS    string // empty: not in a thread
	User        string // author
	BotID       string // set when the app posted it
	Text        string
	Blocks      []map[string]any // as stored, with generated block_id and action_id
	Attachments []map[string]any

	EphemeralTo string // the one person who sees it; empty: everybody
	Posted      time.Time
	Edited      time.Time // zero: never
	Deleted     bool
	Mentions    []Mention // that fire with the current state
	Versions    []Version // every state it went through; the last is the current one
}

// Version is one state of a message.
type Version struct {
	At       time.Time
	Via      string // chat.postMessage, chat.update, response_url, ack, …
	Text     string
	Blocks   []map[string]any
	Mentions []Mention
}

// Mention is a notification that a message sets off.
type Mention struct {
	Kind   string // "channel", "here", "everyone", "user", "usergroup"
	ID     string // of the user or user group
	Source string // "text", or a JSON pointer such as /blocks/0/text/text
	// Auto: not written as <!here> or <@U1>, but made by Slack from plain
	// words, because the text object was mrkdwn without verbatim or the call
	// asked for link_names or parse=full.
	Auto bool
}

// View is a form (modal) or a Home tab as it stands.
type View struct {
	ID              string
	Type            string // "modal" or "home"
	User            string // who sees it
	CallbackID      string
	PrivateMetadata string
	ExternalID      string
	Hash            string
	RootViewID      string
	PreviousViewID  string
	Title           string
	Submit          string
	Close           string
	Blocks          []map[string]any
	NotifyOnClose   bool
	ClearOnClose    bool
	Errors          map[string]string // field errors on show, by block_id
	UpdatedAt       time.Time
}

// Call is one request that the app made. Tokens are never in it.
type Call struct {
	Method   string // "chat.postMessage"; posts to a response URL are "response_url"
	At       time.Time
	Duration time.Duration
	Args     map[string]any // strings as sent; JSON arguments decoded
	Error    string         // Slack's error code; empty: ok
	Status   int            // HTTP status; 0: the connection was dropped
	Fault    string         // what a Fault did to it, empty: nothing
}

// Connection is one Socket Mode connection that Slack counts.
type Connection struct {
	ID        string
	State     string // "opening" (no hello yet), "live", "closing", "half-open", "ghost"
	Opened    time.Time
	Delivered int       // envelopes sent to it
	Acked     int       // acknowledgements honoured on it
	LastPong  time.Time // of the server's own pings
	Closed    time.Time // zero: still registered
	// HowClosed is how a closed connection ended: "client close frame 1000",
	// "no close frame", "refresh_requested", …
	HowClosed string
}

// Ack is one acknowledgement frame that the app sent.
type Ack struct {
	EnvelopeID   string
	ConnectionID string
	At           time.Time
	Size         int // bytes of the frame
	Payload      json.RawMessage
	// Refused is empty for one that counted, else "late", "duplicate",
	// "wrong connection", "unknown envelope", "too large", "fragmented",
	// "malformed" or "swallowed" (by a half-open connection).
	Refused string
}

// Envelope is one delivery to a connection.
type Envelope struct {
	ID           string
	Type         string // "slash_commands", "interactive", "events_api"
	ConnectionID string
	At           time.Time
	Payload      json.RawMessage
	RetryAttempt int
	RetryReason  string
	AckedAt      time.Time // zero: not acknowledged, or not in time
}

// Event tells a live page what changed. It carries names only; read the state
// with the observing methods.
type Event struct {
	Kind    EventKind
	At      time.Time
	Channel string // of a message
	TS      string // of a message
	User    string // whose ephemeral, view or Home, or who changed
	ID      string // of a view, connection, or the method of a call
	Missed  int    // events lost before this one because the reader was slow
}

// EventKind names what changed.
type EventKind string

const (
	MessagePosted    EventKind = "message_posted"
	MessageChanged   EventKind = "message_changed"
	MessageDeleted   EventKind = "message_deleted"
	ViewsChanged     EventKind = "views_changed"
	HomeChanged      EventKind = "home_changed"
	ConnectionOpened EventKind = "connection_opened"
	ConnectionClosed EventKind = "connection_closed"
	CallMade         EventKind = "call_made"
	WorldChanged     EventKind = "world_changed"
)

// Fault is what goes wrong with a Web API call. Several fields combine: Delay
// comes first, then what is set of the others, in the order they stand here.
type Fault struct {
	// Delay passes before anything happens. The call is carried out even if
	// the caller has gone away by then, as at Slack.
	Delay time.Duration
	// DropBefore cuts the connection; nothing has happened.
	DropBefore bool
	// RetryAfter answers 429 with this Retry-After, rounded up to seconds.
	RetryAfter time.Duration
	// Error answers {"ok":false,"error":…} without effect.
	Error string
	// Status answers this HTTP status with a page of text, without effect.
	Status int
	// AnswerDelay passes after the effect and before the answer.
	AnswerDelay time.Duration
	// Garbage answers 200 with a body that is not JSON, after the effect.
	Garbage bool
	// DropAfter cuts the connection after the effect: the message is posted,
	// the answer is lost.
	DropAfter bool

	// Times is how many calls it hits; 0: all until it is lifted.
	Times int
	// If limits it to calls for which it says true. Nil: all.
	If func(Call) bool
}

// Disconnect reasons of the disconnect frame.
const (
	ReasonWarning           = "warning"             // the socket closes about 10 s later
	ReasonRefresh           = "refresh_requested"   // it closes about 1 s later, and gets no more envelopes
	ReasonLinkDisabled      = "link_disabled"       // it closes at once
	ReasonTooManyWebSockets = "too_many_websockets" // it closes at once
)

// Values are what somebody filled into a form: by block_id, or by
// "block_id/action_id". A value is a string (text, number, date, one option's
// value, one user or channel ID), a []string (several of them), or nil (left
// empty). Blocks not named keep their initial value.
type Values map[string]any

package slackapp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/slackapp/socket"
)

// wire is a pretended Slack: it answers by the last part of the path, and
// keeps what was asked, in order.
type wire struct {
	// answers give a status, a header and a body; what is not among them is ok.
	answers map[string]func() (int, http.Header, string, error)

	mu     sync.Mutex // guards what follows
	asked  []string
	bodies []string
}

const secretAddress = "https://hooks.slack.com/commands/T1/" + "made-up-secret"

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	name := req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]
	if req.URL.Host == "hooks.slack.com" {
		name = "response_url"
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.asked, w.bodies = append(w.asked, name), append(w.bodies, string(body))
	w.mu.Unlock()
	status, header, said := http.StatusOK, http.Header{}, `{"ok":true,"channel":"C1","ts":"1.000100"}`
	if answer := w.answers[name]; answer != nil {
		if status, header, said, err = answer(); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(said)), Request: req}, nil
}

func (w *wire) calls() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

func says(status int, body string) func() (int, http.Header, string, error) {
	return func() (int, http.Header, string, error) { return status, http.Header{}, body, nil }
}

// wired is an App of workspace T1 on that wire, with what it logs.
func wired(t *testing.T, w *wire) (*App, *bytes.Buffer) {
	t.Helper()
	var logged bytes.Buffer
	a, err := New(Config{
		BotToken: "xoxb-" + "made-up", AppToken: "xapp-" + "made-up", APIURL: "https://slack.example.com/api/", Command: "/qlik",
		HTTP: &http.Client{Transport: w}, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.team, a.people.home = "T1", "T1"
	return a, &logged
}

// TestAReplyTakesOneWayAndTheNextOnlyWhenThatOneIsClosed: an answer that may
// have arrived is not given a second time in another way.
func TestAReplyTakesOneWayAndTheNextOnlyWhenThatOneIsClosed(t *testing.T) {
	t.Parallel()
	only := []string{"response_url"}
	all := []string{"response_url", "chat.postEphemeral"}
	broken := func() (int, http.Header, string, error) {
		return 0, nil, "", &url.Error{Op: "Post", URL: secretAddress, Err: errors.New("connection reset")}
	}
	limited := func(after string) func() (int, http.Header, string, error) {
		return func() (int, http.Header, string, error) {
			return http.StatusTooManyRequests, http.Header{"Retry-After": {after}}, "slow down " + secretAddress, nil
		}
	}
	for name, c := range map[string]struct {
		answer  func() (int, http.Header, string, error)
		took    []string
		fails   bool
		after   time.Duration
		unclear bool
	}{
		"ok in words":                  {answer: says(200, "ok"), took: only},
		"ok in JSON":                   {answer: says(200, `{"ok":true}`), took: only},
		"no words":                     {answer: says(200, ""), took: only},
		"another 2xx without words":    {answer: says(204, ""), took: only},
		"words that are not JSON":      {answer: says(202, "<html>thanks"), took: only},
		"JSON that does not say ok":    {answer: says(200, `{"thanks":1}`), took: only},
		"JSON of another form":         {answer: says(200, `[false]`), took: only},
		"a refusal with a 200":         {answer: says(200, `{"ok":false,"error":"used_url"}`), took: all},
		"an address that is used up":   {answer: says(404, `{"ok":false,"error":"used_url"}`), took: all},
		"an address that is forbidden": {answer: says(403, "no"), took: all},
		"too fast":                     {answer: limited("7"), took: only, fails: true, after: 7 * time.Second},
		"too fast, without a number":   {answer: limited("soon"), took: only, fails: true, after: time.Second},
		"too fast, with a negative":    {answer: limited("-3"), took: only, fails: true, after: time.Second},
		"Slack is broken":              {answer: says(500, "oops"), took: only, fails: true, unclear: true},
		"the connection breaks":        {answer: broken, took: only, fails: true, unclear: true},
		"internal error with a 200":    {answer: says(200, `{"ok":false,"error":"internal_error"}`), took: only, fails: true, unclear: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &wire{answers: map[string]func() (int, http.Header, string, error){"response_url": c.answer}}
			a, logged := wired(t, w)
			to := ReplyTo{Who: approval.Identity{Team: "T1", User: "U1"}, Channel: "C1", ResponseURL: secretAddress}
			err := a.Reply(t.Context(), to, commands.Reply{Title: "Hello."})
			if got := w.calls(); !slices.Equal(got, c.took) {
				t.Errorf("it went by %q, want %q", got, c.took)
			}
			if (err != nil) != c.fails || After(err) != c.after || Unclear(err) != c.unclear {
				t.Errorf("the error is %v (after %v, unclear %t)", err, After(err), Unclear(err))
			}
			if err != nil && (strings.Contains(err.Error(), "hooks") || strings.Contains(err.Error(), "made-up")) {
				t.Errorf("the error tells the address: %v", err)
			}
			if s := logged.String(); strings.Contains(s, "hooks") || strings.Contains(s, "made-up") {
				t.Errorf("the log tells the address: %s", s)
			}
		})
	}
}

func TestAReplyThatCannotStandInTheChannelGoesToThePersonsDirectMessages(t *testing.T) {
	t.Parallel()
	w := &wire{answers: map[string]func() (int, http.Header, string, error){
		"response_url":       says(404, "gone"),
		"chat.postEphemeral": says(200, `{"ok":false,"error":"channel_not_found"}`),
	}}
	a, _ := wired(t, w)
	to := ReplyTo{Who: approval.Identity{Team: "T1", User: "U1"}, Channel: "C1", ResponseURL: secretAddress}
	if err := a.Reply(t.Context(), to, commands.Reply{Title: "Hello."}); err != nil {
		t.Fatal(err)
	}
	if got := w.calls(); !slices.Equal(got, []string{"response_url", "chat.postEphemeral", "chat.postMessage"}) {
		t.Errorf("it went by %q", got)
	}
	if last := w.bodies[2]; !strings.Contains(last, "channel=U1") {
		t.Errorf("the last way was %s", last)
	}
	// An address that is not one of Slack's is not called, nor told of.
	to.ResponseURL = "https://evil.example.com/" + "made-up-secret"
	if err := a.respond(t.Context(), to.ResponseURL, "x", nil); err == nil || strings.Contains(err.Error(), "evil") {
		t.Errorf("the error is %v", err)
	}
	to.ResponseURL = "https://hooks.slack.com/%zz" + "made-up-secret"
	if err := a.respond(t.Context(), to.ResponseURL, "x", nil); err == nil || strings.Contains(err.Error(), "made-up") {
		t.Errorf("the error is %v", err)
	}
	if n := len(w.calls()); n != 3 {
		t.Errorf("%d calls were made", n)
	}
}

func TestAFormIsNotOpenedWithHalfOfWhatWasTyped(t *testing.T) {
	t.Parallel()
	form := func(given ...string) Form {
		return Form{
			Channel: "C1", Given: map[string][]string{"emails": given},
			Spec: commands.Spec{Name: "invite", Summary: "Invite people", Fields: []commands.Field{{Name: "emails", Label: "Addresses", Control: commands.ControlEmails}}},
		}
	}
	for _, c := range []struct {
		given []string
		fits  bool
	}{
		{[]string{strings.Repeat("ü", maxInitial)}, true},
		{[]string{strings.Repeat("ü", maxInitial+1)}, false},
		{slices.Repeat([]string{"somebody@example.com"}, 138), true},  // 2897 with the spaces between
		{slices.Repeat([]string{"somebody@example.com"}, 139), false}, // 2918
	} {
		w := &wire{}
		a, _ := wired(t, w)
		err := a.OpenForm(t.Context(), "trigger", form(c.given...))
		if !c.fits {
			if !errors.Is(err, ErrRejected) || len(w.calls()) > 0 {
				t.Errorf("%d words: the error is %v after %q", len(c.given), err, w.calls())
			}
			continue
		}
		if err != nil || len(w.calls()) != 1 {
			t.Fatalf("%d words: %v after %q", len(c.given), err, w.calls())
		}
		sent, err := url.QueryUnescape(w.bodies[0])
		if err != nil || !strings.Contains(sent, strings.Join(c.given, " ")) {
			t.Errorf("%d words: the form holds something else: %v %.300s", len(c.given), err, sent)
		}
	}
}

// wraps says what is wrong with the pieces of a line; empty: nothing.
func wraps(l string) string {
	whole := clean(l, len(l)+2)
	pieces := wrap(l)
	for _, p := range pieces {
		switch n := len([]rune(p)); {
		case n > maxLine:
			return "a piece is too long"
		case strings.TrimSpace(p) != clean(p, maxLine):
			return "a piece is cut when it is shown"
		}
	}
	if strings.Join(pieces, "") != whole {
		return "a character is lost"
	}
	return ""
}

func TestALongLineIsShownWholeInPieces(t *testing.T) {
	t.Parallel()
	var all []string
	for _, n := range []int{0, 1, maxLine - 1, maxLine, maxLine + 1, 2*maxLine - 2, 2 * maxLine, 3000} {
		all = append(all, strings.Repeat("ü", n), strings.Repeat("a ", n), strings.Repeat("word ", n/5), strings.Repeat("x", n)+" "+strings.Repeat("y", n))
	}
	for _, l := range all {
		if wrong := wraps(l); wrong != "" {
			t.Errorf("%d characters: %s", len([]rune(l)), wrong)
		}
	}
	var whole []string
	for _, p := range wrapAll(all) {
		whole = append(whole, p)
		if len([]rune(p)) > maxLine {
			t.Errorf("a piece has %d characters", len([]rune(p)))
		}
	}
	var cleaned strings.Builder
	for _, l := range all {
		cleaned.WriteString(clean(l, len(l)+2))
	}
	if strings.Join(whole, "") != cleaned.String() {
		t.Error("something is lost over many lines")
	}
	// Words stay whole where they can.
	if ls := wrap(strings.Repeat("word ", 100)); len(ls) != 2 || !strings.HasSuffix(ls[0], "word") || !strings.HasPrefix(strings.TrimSpace(ls[1]), "word") {
		t.Errorf("it is cut as %q", ls)
	}
}

func FuzzALongLineLosesNothing(f *testing.F) {
	for _, s := range []string{"", "a b", strings.Repeat("wörter ", 99), strings.Repeat("x", 700), strings.Repeat(" \u202e.", 400), "a\xff" + strings.Repeat("\n", 400)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, l string) {
		if wrong := wraps(l); wrong != "" {
			t.Errorf("%q: %s", l, wrong)
		}
	})
}

// silent is a desk that is never asked.
type silent struct{ t *testing.T }

func (s silent) Command(context.Context, Command) (Answer, error) {
	s.t.Error("a command came to the desk")
	return Answer{}, nil
}
func (silent) Click(context.Context, Click) (Answer, error)       { return Answer{}, nil }
func (silent) Submit(context.Context, Submission) (Answer, error) { return Answer{}, nil }
func (silent) Home(context.Context, Opened) (Answer, error)       { return Answer{}, nil }

// speaks is a desk that answers each command with a word.
type speaks struct{ silent }

func (speaks) Command(_ context.Context, c Command) (Answer, error) {
	return Answer{Say: &commands.Reply{Title: "A word."}, To: ReplyTo{Who: c.Who, Channel: c.Channel, ResponseURL: c.ResponseURL}}, nil
}

// TestWhoeverTypesACommandIsAnswered: with the acknowledgement, or where that
// may carry nothing, by a reply.
func TestWhoeverTypesACommandIsAnswered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, command, word string
		accepts             bool
		desk                func(*testing.T) Desk
	}{
		{"another command", "/other", "/qlik only", true, func(t *testing.T) Desk { return silent{t} }},
		{"another command, by reply", "/other", "/qlik only", false, func(t *testing.T) Desk { return silent{t} }},
		{"a word", "/qlik", "A word.", true, func(t *testing.T) Desk { return speaks{silent{t}} }},
		{"a word, by reply", "/qlik", "A word.", false, func(t *testing.T) Desk { return speaks{silent{t}} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := &wire{}
			a, _ := wired(t, w)
			frame, err := json.Marshal(map[string]any{
				"type": "slash_commands", "envelope_id": "E1", "accepts_response_payload": c.accepts,
				"payload": map[string]any{"team_id": "T1", "user_id": "U1", "channel_id": "C1", "command": c.command, "text": "x", "response_url": secretAddress},
			})
			if err != nil {
				t.Fatal(err)
			}
			var acks []string
			e, err := socket.NewEnvelope(frame, func(_ context.Context, frame []byte) error {
				acks = append(acks, string(frame))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			d := &dispatcher{app: a, desk: c.desk(t), log: a.log, then: make(chan struct{}, maxThen)}
			d.handle(t.Context(), e)
			d.wg.Wait()
			if len(acks) != 1 || strings.Contains(acks[0], c.word) != c.accepts {
				t.Errorf("it was acknowledged with %q", acks)
			}
			var want []string
			if !c.accepts {
				want = []string{"response_url"}
			}
			if got := w.calls(); !slices.Equal(got, want) {
				t.Fatalf("Slack was asked %q, want %q", got, want)
			}
			if !c.accepts && !strings.Contains(w.bodies[0], c.word) {
				t.Errorf("the reply is %s", w.bodies[0])
			}
		})
	}
}

// TestOnAGridOnlyMembersOfTheBotsOwnWorkspaceMayUseIt: being of the same
// organisation is not enough.
func TestOnAGridOnlyMembersOfTheBotsOwnWorkspaceMayUseIt(t *testing.T) {
	t.Parallel()
	person := func(team, enterprise string, teams ...string) map[string]any {
		u := map[string]any{"id": "U1", "team_id": team, "name": "ana", "profile": map[string]any{"real_name": "Ana", "email": "ana@example.com"}}
		if enterprise != "" {
			u["enterprise_user"] = map[string]any{"id": "U1", "enterprise_id": enterprise, "teams": teams}
		}
		return u
	}
	for name, c := range map[string]struct {
		envelope string // the team that it names
		user     map[string]any
		member   bool
	}{
		"of the bot's workspace":                              {"T1", person("T1", "E1", "T1"), true},
		"of the bot's workspace, told as of the organisation": {"E1", person("E1", "E1", "T2", "T1"), true},
		"of two workspaces":                                   {"E1", person("T2", "E1", "T2", "T1"), true},
		"of another workspace":                                {"E1", person("T2", "E1", "T2"), false},
		"of no workspace":                                     {"E1", person("E1", "E1"), false},
		"of a workspace of the same ID elsewhere":             {"E1", person("T2", "E2", "T1"), false},
		"whose envelope names another workspace":              {"T2", person("T1", "E1", "T1"), false},
		"whose envelope names nothing":                        {"", person("T1", "E1", "T1"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := json.Marshal(map[string]any{"ok": true, "user": c.user})
			if err != nil {
				t.Fatal(err)
			}
			a, _ := wired(t, &wire{answers: map[string]func() (int, http.Header, string, error){"users.info": says(200, string(raw))}})
			a.enterprise, a.people.enterprise = "E1", "E1"
			m, err := a.Member(t.Context(), approval.Identity{Team: c.envelope, User: "U1"})
			if c.member {
				if err != nil || m.Identity != (approval.Identity{Team: "T1", User: "U1"}) {
					t.Errorf("%+v, %v", m, err)
				}
				return
			}
			var stranger *StrangerError
			if !errors.As(err, &stranger) {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

// TestAPlaceAboutWhichSlackWillNeverTellIsRefusedAtOnce: with a reason for
// people, rather than with an error that is tried again.
func TestAPlaceAboutWhichSlackWillNeverTellIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for answer, known := range map[string]bool{
		`{"ok":true,"channel":{"id":"C1","is_member":true}}`:           true,
		`{"ok":false,"error":"channel_not_found"}`:                     false,
		`{"ok":false,"error":"missing_scope","needed":"mpim:read"}`:    false,
		`{"ok":false,"error":"method_not_supported_for_channel_type"}`: false,
		`{"ok":false,"error":"an_error_that_comes_tomorrow"}`:          false,
		`{"ok":false,"error":"team_access_not_granted"}`:               false,
	} {
		a, _ := wired(t, &wire{answers: map[string]func() (int, http.Header, string, error){"conversations.info": says(200, answer)}})
		p, err := a.Place(t.Context(), "C1")
		if err != nil || p.Known != known || p.Post != known || (p.Why == "") != known {
			t.Errorf("%s: %+v, %v", answer, p, err)
		}
	}
	for _, answer := range []string{`{"ok":false,"error":"internal_error"}`, `{"ok":false,"error":"ratelimited"}`} {
		a, _ := wired(t, &wire{answers: map[string]func() (int, http.Header, string, error){"conversations.info": says(200, answer)}})
		if p, err := a.Place(t.Context(), "C1"); !errors.Is(err, ErrUnavailable) || p.Known || p.Post {
			t.Errorf("%s: %+v, %v", answer, p, err)
		}
	}
}

// TestAReplyAboveACardIsShownInAsManySectionsAsItTakes: Slack takes no section
// of more than 3000 characters.
func TestAReplyAboveACardIsShownInAsManySectionsAsItTakes(t *testing.T) {
	t.Parallel()
	r := approval.Request{ID: "R1", State: approval.Waiting, Plan: approval.Plan{Title: "Write"}}
	_, blocks := renderReply(commands.Reply{Title: "Hello.", Lines: slices.Repeat([]string{strings.Repeat("x", 250)}, 40), Request: &r})
	if len(blocks) > 50 {
		t.Errorf("%d blocks", len(blocks))
	}
	for _, b := range blocks {
		if s, ok := b.(*slack.SectionBlock); ok && s.Text != nil && len([]rune(s.Text.Text)) > 3000 {
			t.Errorf("a section has %d characters", len([]rune(s.Text.Text)))
		}
	}
}

package page

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
)

// The codes of notes, besides Slack's own statuses.
const (
	codeRefused    = "refused"       // Slack's client would not let the person do it
	codeNotCommand = "not_a_command" // a plain message, or a command of nobody
	codeUnusable   = "unusable_answer"
)

// serveCommand sends what was typed.
func (p *Page) serveCommand(w http.ResponseWriter, r *http.Request) {
	s, ok := p.posted(w, r)
	if !ok {
		return
	}
	typed := strings.TrimSpace(r.PostForm.Get("text"))
	if s.place.Channel == homePlace || s.place.Channel == "" {
		http.Error(w, "There is no box for commands here. Nothing was sent to the bot.", http.StatusBadRequest)
		return
	}
	keep := answer{Keep: true}
	rest, isCommand := strings.CutPrefix(typed, s.command)
	switch {
	case typed == "":
		p.finish(w, r, s.place, answer{}, "")
	case !isCommand || rest != "" && !strings.HasPrefix(rest, " "):
		why := fmt.Sprintf("This demo carries commands only: there is nobody to read a plain message. Start with %[1]s, for example “%[1]s help”.", s.command)
		if strings.HasPrefix(typed, "/") {
			word, _, _ := strings.Cut(typed, " ")
			why = fmt.Sprintf("%s is not a command of this workspace. The bot listens to %s.", word, s.command)
		}
		p.tell(note{to: place{s.me.ID, s.place.Channel}, code: codeNotCommand, text: why})
		p.finish(w, r, s.place, keep, typed)
	default:
		if s.place.Channel == dmPlace {
			s.place.Channel = p.cfg.Slack.DM(s.me.ID)
		}
		// The command is on its way even if the browser goes elsewhere; the
		// emulator's own deadline ends the wait.
		o, err := p.cfg.Slack.Command(context.WithoutCancel(r.Context()), s.me.ID, s.place.Channel, rest)
		code, why := s.verdict(s.command, o, err)
		if code != "" {
			p.tell(note{to: place{s.me.ID, s.place.Channel}, code: code, text: why})
		}
		p.finish(w, r, s.place, answer{Keep: code != ""}, typed)
	}
}

// verdict says in words what Slack would show, or nothing when all went well.
func (s *scene) verdict(what string, o slackemu.Outcome, err error) (code, why string) {
	who := shown(s.me)
	const nothing = " Nothing was sent to the bot."
	switch {
	case errors.Is(err, slackemu.ErrDeactivated):
		return codeRefused, who + " is deactivated: Slack would not even let them sign in." + nothing
	case errors.Is(err, slackemu.ErrExternal):
		return codeRefused, who + " belongs to another workspace, and Slack keeps the app’s commands for members of its own." + nothing
	case errors.Is(err, slackemu.ErrNotInChannel):
		return codeRefused, who + " is not a member of this channel." + nothing
	case errors.Is(err, slackemu.ErrArchived):
		return codeRefused, "This channel is archived." + nothing
	case errors.Is(err, slackemu.ErrNoMessage), errors.Is(err, slackemu.ErrNoElement), errors.Is(err, slackemu.ErrNoView):
		return codeRefused, "This has changed meanwhile, and the button is gone." + nothing
	case errors.Is(err, slackemu.ErrInput):
		_, detail, _ := strings.Cut(err.Error(), slackemu.ErrInput.Error())
		return codeRefused, "Slack does not take this input" + oneLine(detail) + "." + nothing
	case err != nil:
		return codeRefused, "Slack would not let " + who + " do this: " + oneLine(err.Error()) + "."
	}
	switch o.Status {
	case slackemu.OperationTimeout:
		return string(o.Status), what + " failed with the error “operation_timeout”: the bot did not answer within 3 seconds. Whether it has got the command is not known."
	case slackemu.DispatchFailed:
		return string(o.Status), what + " failed with the error “dispatch_failed”: the bot holds no connection to Slack. Nothing reached it; try again when it is back."
	case slackemu.InteractionFailed, slackemu.EventFailed:
		return string(o.Status), "The bot did not answer within 3 seconds (" + string(o.Status) + "). Whether it has got the click is not known; look before you try again."
	case slackemu.SubmissionFailed:
		return string(o.Status), "We had some trouble connecting (submission_failed). The form is still open; try again."
	case slackemu.Acknowledged:
	}
	if o.Problem != "" {
		return codeUnusable, "The bot answered, but Slack could not use the answer: " + oneLine(o.Problem) + "."
	}
	return "", ""
}

// serveAct presses a button, chooses in a menu, or sends or closes a form.
func (p *Page) serveAct(w http.ResponseWriter, r *http.Request) {
	s, ok := p.posted(w, r)
	if !ok {
		return
	}
	form := r.PostForm
	act, viewID, ts := form.Get("act"), form.Get("view"), form.Get("ts")
	a := &action{page: p, scene: s, form: form, act: act}
	switch {
	case act == "": // the press of Enter somewhere, or a question answered with no
	case viewID != "":
		a.inView(r.Context(), viewID)
	case ts != "":
		a.inMessage(r.Context(), ts)
	case s.place.Channel == homePlace:
		a.inHome(r.Context())
	}
	if a.question != nil {
		p.ask(w, r, s.place, *a.question)
		return
	}
	p.finish(w, r, s.place, answer{}, "")
}

// action is one click on its way.
type action struct {
	page     *Page
	scene    *scene
	form     url.Values
	act      string
	question *confirmData
}

// target finds what was clicked, and the choice where there is one.
func (a *action) target(blocks []map[string]any) (placed, []slackemu.ClickOption, bool) {
	all := interactive(blocks)
	for _, t := range all {
		if t.kind == "overflow" {
			if i, ok := strings.CutPrefix(a.act, t.act()+"#"); ok {
				n, err := strconv.Atoi(i)
				offered := list(t.def, "options")
				if err == nil && n >= 0 && n < len(offered) {
					return t, []slackemu.ClickOption{slackemu.InBlock(t.block), slackemu.Choosing(str(object(offered[n]), "value"))}, true
				}
			}
			continue
		}
		if t.act() != a.act {
			continue
		}
		opts := []slackemu.ClickOption{slackemu.InBlock(t.block)}
		others, _ := a.values(all)
		if t.holds() {
			chosen := slices.DeleteFunc(slices.Clone(a.form["v/"+t.act()]), func(v string) bool { return v == "" })
			opts = append(opts, slackemu.Choosing(chosen...))
			delete(others, t.act())
		}
		return t, append(opts, slackemu.With(others)), true
	}
	return placed{}, nil, false
}

// values are what the form's inputs hold, as Slack's emulator and as the
// page's own memory want them. An input that was not posted is left alone,
// unless the form says that it posted all there is.
func (a *action) values(all []placed) (slackemu.Values, map[string][]string) {
	values, typed := slackemu.Values{}, map[string][]string{}
	for _, t := range all {
		posted, there := a.form["v/"+t.act()]
		if !t.holds() || !there && !a.form.Has("all") {
			continue
		}
		posted = slices.DeleteFunc(slices.Clone(posted), func(v string) bool { return v == "" })
		if t.kind == "plain_text_input" { // browsers send the line ends of the mail
			for i := range posted {
				posted[i] = strings.ReplaceAll(posted[i], "\r\n", "\n")
			}
		}
		typed[t.act()] = posted
		switch {
		case len(posted) == 0:
			values[t.act()] = nil
		case t.many():
			values[t.act()] = posted
		default:
			values[t.act()] = posted[0]
		}
	}
	return values, typed
}

// asks says whether the element has a question to be answered first.
func (a *action) asks(t placed) bool {
	confirm := object(t.def["confirm"])
	if confirm == nil || a.form.Has("confirmed") {
		return false
	}
	r := &renderer{names: a.scene.names}
	a.question = &confirmData{
		Title: oneLine(flatten(r.textObject(confirm["title"]))), Text: r.textObject(confirm["text"]),
		Confirm: oneLine(flatten(r.textObject(confirm["confirm"]))), Deny: oneLine(flatten(r.textObject(confirm["deny"]))),
		Danger: str(confirm, "style") == "danger", Act: a.act,
	}
	for _, name := range slices.Sorted(maps.Keys(a.form)) {
		for _, v := range a.form[name] {
			if name != "act" {
				a.question.Fields = append(a.question.Fields, field{name, v})
			}
		}
	}
	return true
}

func (a *action) inMessage(ctx context.Context, ts string) {
	p, s := a.page, a.scene
	to := place{s.me.ID, s.place.Channel}
	m, _ := p.cfg.Slack.Message(s.place.Channel, ts)
	t, opts, ok := a.target(m.Blocks)
	if ok && a.asks(t) {
		return
	}
	p.forget(to, ts)
	o, err := slackemu.Outcome{}, slackemu.ErrNoElement
	if ok {
		o, err = p.cfg.Slack.Click(context.WithoutCancel(ctx), s.me.ID, s.place.Channel, ts, t.action, opts...)
	}
	if code, why := s.verdict("The button", o, err); code != "" {
		p.tell(note{to: to, ts: ts, code: code, text: why})
	}
}

func (a *action) inHome(ctx context.Context) {
	p, s := a.page, a.scene
	to := place{s.me.ID, homePlace}
	v, _ := p.cfg.Slack.Home(s.me.ID)
	t, opts, ok := a.target(v.Blocks)
	if ok && a.asks(t) {
		return
	}
	p.forget(to, homePlace)
	o, err := slackemu.Outcome{}, slackemu.ErrNoElement
	if ok {
		o, err = p.cfg.Slack.ClickHome(context.WithoutCancel(ctx), s.me.ID, t.action, opts...)
	}
	if code, why := s.verdict("The button", o, err); code != "" {
		p.tell(note{to: to, ts: homePlace, code: code, text: why})
	}
}

// inView acts in an open form. What was filled in is remembered first, so that
// it is still there when the form comes back with errors.
func (a *action) inView(ctx context.Context, id string) {
	p, s := a.page, a.scene
	ctx = context.WithoutCancel(ctx)
	views := p.cfg.Slack.Views(s.me.ID)
	i := slices.IndexFunc(views, func(v slackemu.View) bool { return v.ID == id })
	if i < 0 {
		return // closed meanwhile, and the page shows it so
	}
	all := interactive(views[i].Blocks)
	values, typed := a.values(all)
	state := formState{user: s.me.ID, values: typed}
	if !a.form.Has("all") {
		state.values = p.form(id).values
	}
	var o slackemu.Outcome
	var err error
	switch a.act {
	case "close":
		_, err = p.cfg.Slack.CloseView(ctx, s.me.ID, id)
	case "close-all":
		_, err = p.cfg.Slack.CloseAllViews(ctx, s.me.ID)
	case "submit":
		if state.errors = missing(all, values); len(state.errors) == 0 {
			p.setForm(id, state)
			o, err = p.cfg.Slack.SubmitView(ctx, s.me.ID, id, values)
		}
	default:
		t, opts, ok := a.target(views[i].Blocks)
		if ok && a.asks(t) {
			return
		}
		err = slackemu.ErrNoElement
		if ok {
			o, err = p.cfg.Slack.ClickView(ctx, s.me.ID, id, t.action, opts...)
		}
	}
	if o.Status != "" || err != nil {
		_, state.problem = s.verdict("The form", o, err)
	}
	p.setForm(id, state)
}

// missing tells for each obligatory input that is empty what Slack tells.
func missing(all []placed, values slackemu.Values) map[string]string {
	out := map[string]string{}
	for _, t := range all {
		if v, posted := values[t.act()]; posted && v == nil && t.input && !t.optional {
			out[t.block] = "Please complete this required field."
		}
	}
	return out
}

// confirmData is a question that an element asks before it acts.
type confirmData struct {
	Title, Confirm, Deny string
	Text                 []node
	Danger               bool
	Act                  string
	Fields               []field
}

type field struct{ Name, Value string }

// ask shows the question instead of acting.
func (p *Page) ask(w http.ResponseWriter, r *http.Request, at placeData, q confirmData) {
	if !scripted(r) {
		d := p.whole(at.As, at.Channel, "")
		d.Confirm = &q
		p.show(w, d)
		return
	}
	var b bytes.Buffer
	if err := p.pages.ExecuteTemplate(&b, "confirm", q); err != nil {
		p.log.Error("cannot ask for confirmation", "error", err)
		http.Error(w, "The question could not be shown. Nothing was sent to the bot.", http.StatusInternalServerError)
		return
	}
	p.finish(w, r, at, answer{Dialog: b.String()}, "")
}

// serveHome opens App Home, as going to its tab does.
func (p *Page) serveHome(w http.ResponseWriter, r *http.Request) {
	s, ok := p.posted(w, r)
	if !ok {
		return
	}
	to := place{s.me.ID, homePlace}
	p.forget(to, homePlace)
	o, err := p.cfg.Slack.OpenHome(context.WithoutCancel(r.Context()), s.me.ID)
	code, why := s.verdict("App Home", o, err)
	if o.Status == slackemu.EventFailed {
		why = "The bot has not heard yet that you opened its Home. Slack tells it again in a while."
	}
	if code != "" {
		p.tell(note{to: to, ts: homePlace, code: code, text: why})
	}
	p.finish(w, r, placeData{As: s.me.ID, Channel: homePlace}, answer{}, "")
}

// serveWeather turns a fault on or off.
func (p *Page) serveWeather(w http.ResponseWriter, r *http.Request) {
	s, ok := p.posted(w, r)
	if !ok {
		return
	}
	if !p.setWeather(r.PostForm.Get("fault"), r.PostForm.Get("on") != "no") {
		http.Error(w, "There is no such switch. Nothing was changed.", http.StatusBadRequest)
		return
	}
	p.finish(w, r, s.place, answer{}, "")
}

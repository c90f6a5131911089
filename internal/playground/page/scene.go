package page

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
)

// The places that are no channel.
const (
	homePlace = "home" // App Home
	dmPlace   = "dm"   // a direct conversation that nobody has begun
)

// placeData is who one is and where: what every form has to say.
type placeData struct {
	As      string // user ID
	Channel string // channel ID, "home" or "dm"
}

func (d placeData) query() string {
	return url.Values{"as": {d.As}, "channel": {d.Channel}}.Encode()
}

// Href is the address of the page there: a whole one, because a template would
// escape a query by itself once more.
func (d placeData) Href() string { return "/?" + d.query() }

// Events is the address of the stream of what changes there.
func (d placeData) Events() string { return "/events?" + d.query() }

type personData struct {
	ID, Name, Handle, Note, Status, Initials string
	Colour                                   int
	Current                                  bool
	Unread                                   int
	Href                                     string
	Inside                                   bool // of the app's workspace and not deactivated
}

type channelData struct {
	ID, Name                  string
	Private, Shared, Archived bool
	Current, NoBot            bool
	Unread                    int
	Href                      string
	Members                   int
}

// scene is everything that one person sees at one moment.
type scene struct {
	page    *Page
	place   placeData
	me      slackemu.User
	all     []slackemu.User
	chans   []slackemu.Channel
	people  []Person
	command string
	names   *names
	now     time.Time
}

// look gathers it. Unknown people and places become the first ones.
func (p *Page) look(as, channel string) *scene {
	s := &scene{
		page: p, all: p.cfg.Slack.Users(), chans: p.cfg.Slack.Channels(), command: p.cfg.Slack.Config().Command,
		now: time.Now(),
	}
	s.people = p.cfg.People
	if len(s.people) == 0 {
		for _, u := range s.all {
			if !u.IsBot && !u.IsWorkflowBot {
				s.people = append(s.people, Person{ID: u.ID})
			}
		}
	}
	s.people = slices.DeleteFunc(slices.Clone(s.people), func(one Person) bool { _, ok := s.user(one.ID); return !ok })
	if !slices.ContainsFunc(s.people, func(one Person) bool { return one.ID == as }) {
		as = ""
		if len(s.people) > 0 {
			as = s.people[0].ID
		}
	}
	s.me, _ = s.user(as)
	s.place = placeData{As: as, Channel: s.where(channel)}
	s.names = s.naming()
	return s
}

func (s *scene) user(id string) (slackemu.User, bool) {
	i := slices.IndexFunc(s.all, func(u slackemu.User) bool { return u.ID == id })
	if i < 0 {
		return slackemu.User{}, false
	}
	return s.all[i], true
}

func (s *scene) channel(id string) (slackemu.Channel, bool) {
	i := slices.IndexFunc(s.chans, func(c slackemu.Channel) bool { return c.ID == id })
	if i < 0 {
		return slackemu.Channel{}, false
	}
	return s.chans[i], true
}

// where is the place asked for if this person can be there, else the first
// channel they are in.
func (s *scene) where(asked string) string {
	if s.inside(s.me) {
		if asked == homePlace {
			return asked
		}
		if dm := s.dm(); asked == dmPlace && dm != "" {
			return dm
		}
		if asked == dmPlace {
			return asked
		}
	}
	first := ""
	for _, c := range s.chans {
		if !slices.Contains(c.Members, s.me.ID) {
			continue
		}
		if c.ID == asked {
			return asked
		}
		if first == "" && !c.IsIM {
			first = c.ID
		}
	}
	return first
}

// inside says that somebody uses the app as a member, guests included.
func (s *scene) inside(u slackemu.User) bool {
	cfg := s.page.cfg.Slack.Config()
	return u.ID != "" && !u.Deleted && (u.TeamID == cfg.TeamID || cfg.EnterpriseID != "" && u.EnterpriseID == cfg.EnterpriseID)
}

// dm is the reader's conversation with the app, or empty.
func (s *scene) dm() string {
	for _, c := range s.chans {
		if c.IsIM && slices.Contains(c.Members, s.me.ID) {
			return c.ID
		}
	}
	return ""
}

func shown(u slackemu.User) string {
	return oneLine(cmp.Or(u.DisplayName, u.RealName, u.Name, u.ID))
}

func (s *scene) naming() *names {
	groups := s.page.cfg.Slack.UserGroups()
	group := func(id string) (slackemu.UserGroup, bool) {
		i := slices.IndexFunc(groups, func(g slackemu.UserGroup) bool { return g.ID == id })
		if i < 0 {
			return slackemu.UserGroup{}, false
		}
		return groups[i], true
	}
	return &names{
		me: s.me.ID, now: s.now, zone: s.page.cfg.Location,
		user:  func(id string) (string, bool) { u, ok := s.user(id); return shown(u), ok },
		group: func(id string) (string, bool) { g, ok := group(id); return g.Handle, ok },
		channel: func(id string) (string, bool) {
			c, ok := s.channel(id)
			if ok && (c.IsPrivate || c.IsIM) && !slices.Contains(c.Members, s.me.ID) {
				return "private channel", true // Slack does not tell outsiders
			}
			return cmp.Or(c.Name, "direct message"), ok
		},
		mine: func(id string) bool { g, _ := group(id); return slices.Contains(g.Members, s.me.ID) },
	}
}

// status is what Slack says of somebody beside their name.
func (s *scene) status(u slackemu.User) string {
	cfg := s.page.cfg.Slack.Config()
	switch {
	case u.Deleted:
		return "deactivated"
	case u.TeamID != cfg.TeamID && (cfg.EnterpriseID == "" || u.EnterpriseID != cfg.EnterpriseID):
		return "external"
	case u.IsRestricted, u.IsUltraRestricted:
		return "guest"
	}
	return ""
}

const colours = 8

func colour(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return int(h.Sum32() % colours)
}

func initials(name string) string {
	var out []rune
	for _, word := range strings.Fields(name) {
		for _, r := range word {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				out = append(out, unicode.ToUpper(r))
				break
			}
		}
	}
	switch len(out) {
	case 0:
		return "?"
	case 1:
		return string(out)
	}
	return string(out[0]) + string(out[len(out)-1])
}

func (s *scene) persons() []personData {
	out := make([]personData, 0, len(s.people))
	for _, one := range s.people {
		u, _ := s.user(one.ID)
		d := personData{
			ID: u.ID, Name: shown(u), Handle: oneLine(u.Name), Note: oneLine(one.Note), Status: s.status(u),
			Initials: initials(shown(u)), Colour: colour(u.ID), Current: u.ID == s.me.ID,
			Href: placeData{As: u.ID, Channel: s.place.Channel}.Href(), Inside: s.inside(u),
		}
		if d.Note == d.Status {
			d.Note = ""
		}
		for _, c := range s.chans {
			if slices.Contains(c.Members, u.ID) {
				d.Unread += s.unread(u.ID, c.ID)
			}
		}
		if dm := s.place.Channel; strings.HasPrefix(dm, "D") {
			// Their own conversation with the app, not mine.
			d.Href = placeData{As: u.ID, Channel: dmPlace}.Href()
		}
		out = append(out, d)
	}
	return out
}

// unread counts what came after somebody last had the channel on show.
func (s *scene) unread(user, channel string) int {
	s.page.mu.Lock()
	seen := s.page.seen[place{user, channel}]
	s.page.mu.Unlock()
	n := 0
	for _, m := range s.page.cfg.Slack.MessagesFor(user, channel) {
		if m.TS > seen && m.User != user {
			n++
		}
	}
	return n
}

func (s *scene) channels() (channels, apps []channelData) {
	for _, c := range s.chans {
		if !slices.Contains(c.Members, s.me.ID) || c.IsIM {
			continue
		}
		channels = append(channels, s.entry(c))
	}
	if s.inside(s.me) {
		apps = append(apps, channelData{
			ID: homePlace, Name: "Home", Current: s.place.Channel == homePlace,
			Href: placeData{As: s.me.ID, Channel: homePlace}.Href(),
		})
		dm := channelData{
			ID: dmPlace, Name: "Messages", Current: s.place.Channel == dmPlace,
			Href: placeData{As: s.me.ID, Channel: dmPlace}.Href(),
		}
		if c, ok := s.channel(s.dm()); ok {
			dm = s.entry(c)
			dm.Name = "Messages"
		}
		apps = append(apps, dm)
	}
	return channels, apps
}

func (s *scene) entry(c slackemu.Channel) channelData {
	d := channelData{
		ID: c.ID, Name: oneLine(c.Name), Private: c.IsPrivate, Shared: c.IsExtShared || c.IsPendingExtShared, Archived: c.IsArchived,
		Current: c.ID == s.place.Channel, NoBot: !c.BotIsMember, Members: len(c.Members),
		Href: placeData{As: s.me.ID, Channel: c.ID}.Href(),
	}
	if !d.Current {
		d.Unread = s.unread(s.me.ID, c.ID)
	}
	return d
}

// item is a line of the timeline.
type item struct {
	Key                      string
	Kind                     string // "message", "note" or "day"
	Place                    placeData
	TS, Author, Initials     string
	Colour                   int
	App, Ephemeral, Threaded bool
	Mentioned                bool
	At                       moment
	Edited                   moment
	Text                     []node
	Blocks                   []block
	Attachments              []attachment
	Say                      string // the message in words, for who does not see it
	Warning, WarningCode     string // what went wrong with a button of it
	Note, Code               string
}

type attachment struct {
	Text   []node
	Blocks []block
}

func (s *scene) renderer(scope string) *renderer {
	r := &renderer{names: s.names, scope: scope}
	for _, u := range s.all {
		if !u.Deleted {
			r.people = append(r.people, option{Plain: shown(u), Text: []node{text(shown(u))}, Value: u.ID})
		}
	}
	for _, c := range s.chans {
		if !c.IsIM {
			r.channels = append(r.channels, option{Plain: "#" + oneLine(c.Name), Text: []node{text("#" + c.Name)}, Value: c.ID})
		}
	}
	return r
}

func (s *scene) timeline() []item {
	here := place{s.me.ID, s.place.Channel}
	notes := s.page.notesFor(here)
	messages := s.page.cfg.Slack.MessagesFor(s.me.ID, s.place.Channel)
	if len(messages) > 0 {
		s.page.mu.Lock()
		s.page.seen[here] = messages[len(messages)-1].TS
		s.page.mu.Unlock()
	}
	var out []item
	var days string
	add := func(at time.Time, i item) {
		day := at.In(s.page.cfg.Location).Format("2006-01-02")
		if day != days {
			days = day
			out = append(out, item{Key: "day-" + day, Kind: "day", Note: formatDate(at.In(s.page.cfg.Location), s.now.In(s.page.cfg.Location), "{date_long_pretty}")})
		}
		out = append(out, i)
	}
	for _, m := range messages {
		for len(notes) > 0 && notes[0].at.Before(m.Posted) {
			if notes[0].ts == "" {
				add(notes[0].at, s.note(notes[0]))
			}
			notes = notes[1:]
		}
		add(m.Posted, s.message(m))
	}
	for _, n := range notes {
		if n.ts == "" {
			add(n.at, s.note(n))
		}
	}
	return out
}

func (s *scene) note(n note) item {
	return item{
		Key: fmt.Sprintf("note-%d", n.id), Kind: "note", Note: visible(n.text), Code: n.code,
		At: s.page.moment(n.at, "15:04"), Say: visible(n.text),
	}
}

func (s *scene) message(m slackemu.Message) item {
	author, known := s.user(m.User)
	out := item{
		Key: "m-" + m.TS, Kind: "message", Place: s.place, TS: m.TS, Author: shown(author), Colour: colour(m.User), App: m.BotID != "",
		Ephemeral: m.EphemeralTo != "", Threaded: m.ThreadTS != "", At: s.page.moment(m.Posted, "15:04"),
	}
	if !known {
		out.Author = oneLine(m.User)
	}
	out.Initials = initials(out.Author)
	if !m.Edited.IsZero() {
		out.Edited = s.page.moment(m.Edited, "15:04:05")
	}
	for _, one := range m.Mentions {
		out.Mentioned = out.Mentioned || one.ID == s.me.ID || one.ID == "" || s.names.mine(one.ID)
	}
	r := s.renderer(m.TS)
	spoken := []node{text(m.Text)}
	if m.BotID != "" {
		spoken = mrkdwn(m.Text, true, s.names)
	}
	switch {
	case len(m.Blocks) > 0:
		out.Blocks = r.blocks(m.Blocks)
	default:
		out.Text = spoken // what people type is shown as they typed it
	}
	for _, a := range m.Attachments {
		inert := *r
		inert.inert = true
		var raw []map[string]any
		for _, b := range list(a, "blocks") {
			raw = append(raw, object(b))
		}
		one := attachment{Blocks: inert.blocks(raw)}
		for _, key := range []string{"pretext", "text"} {
			if str(a, key) != "" {
				one.Text = append(one.Text, mrkdwn(str(a, key), true, s.names)...)
			}
		}
		out.Attachments = append(out.Attachments, one)
	}
	out.Say = out.Author + ": " + oneLine(flatten(spoken))
	for _, n := range s.page.notesFor(place{s.me.ID, s.place.Channel}) {
		if n.ts == m.TS {
			out.Warning, out.WarningCode = visible(n.text), n.code
		}
	}
	return out
}

// homeData is App Home as the reader sees it.
type homeData struct {
	Place                placeData
	Blocks               []block
	Published            bool
	ViewID               string
	Warning, WarningCode string
}

func (s *scene) home() homeData {
	out := homeData{Place: s.place}
	if v, ok := s.page.cfg.Slack.Home(s.me.ID); ok {
		r := s.renderer(v.ID)
		out.Published, out.Blocks, out.ViewID = true, r.blocks(v.Blocks), v.ID
	}
	for _, n := range s.page.notesFor(place{s.me.ID, homePlace}) {
		out.Warning, out.WarningCode = visible(n.text), n.code
	}
	return out
}

// viewData is an open form.
type viewData struct {
	Place                        placeData
	ID, Title, Submit, CloseText string
	Blocks                       []block
	Problem                      string
	Depth                        int  // forms under it
	Focused                      bool // some element asks for the focus
}

func (s *scene) views() []viewData {
	var out []viewData
	for i, v := range s.page.cfg.Slack.Views(s.me.ID) {
		state := s.page.form(v.ID)
		r := s.renderer(v.ID)
		r.values, r.errors = state.values, map[string]string{}
		for block, why := range v.Errors {
			r.errors[block] = why
		}
		for block, why := range state.errors {
			r.errors[block] = why
		}
		d := viewData{
			Place: s.place, ID: v.ID, Title: oneLine(v.Title), Submit: oneLine(v.Submit), CloseText: cmp.Or(oneLine(v.Close), "Close"),
			Blocks: r.blocks(v.Blocks), Problem: visible(state.problem), Depth: i, Focused: r.focused,
		}
		if !d.Focused {
			d.Focused = focusFirst(d.Blocks)
		}
		out = append(out, d)
	}
	return out
}

// focusFirst gives the focus to the first input of a form.
func focusFirst(blocks []block) bool {
	for _, b := range blocks {
		if b.Input != nil && !b.Input.Several {
			b.Input.Element.Focus = true
			return true
		}
	}
	return false
}

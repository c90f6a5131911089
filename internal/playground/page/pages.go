package page

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// pageData is the whole page.
type pageData struct {
	Place         placeData
	Me            personData
	Here          channelData
	Title         string
	People        []personData
	Lists         channelLists
	Talk          talkData
	Views         []viewData
	Tenants       []tenantData
	Weather       weatherData
	Bot           botData
	Command       string
	Hints         []hint
	Tour          []tourStep
	Draft         string
	Confirm       *confirmData
	Style, Script string
}

type channelLists struct {
	Bot            personData
	Channels, Apps []channelData
}

// talkData is what the middle of the page shows: a channel or App Home.
type talkData struct {
	Home  *homeData
	Items []item
}

// botData is how the bot is connected.
type botData struct{ Sockets int }

// hint is something that the command box offers.
type hint struct {
	Kind   string // "command" or "person"
	Key    string // what has to be typed for it
	Insert string
	Usage  string
	Help   string
}

type tourStep struct {
	Number                int
	Who, Text, Note, Href string
	Current               bool // one is that person already
}

// fragment is a part of the page that is sent anew when it has changed.
type fragment struct {
	id, template string
	data         any
	tenant       int // index of the tenant that it shows; -1: the chat
}

// fragments are the parts of a page, by the ID of the element that holds each.
// The page's template holds the same parts in the same templates.
func (d *pageData) fragments() []fragment {
	out := []fragment{
		{"timeline", "timeline", d.Talk, -1},
		{"views", "views", d.Views, -1},
		{"as", "people", d.People, -1},
		{"channels", "channels", d.Lists, -1},
		{"bot-status", "bot", d.Bot, -1},
		{"weather-switches", "weather", d.Weather, -1},
		{"weather-title", "weather-title", d.Weather, -1},
	}
	for i, t := range d.Tenants {
		for _, part := range []string{"facts", "users", "groups-title", "groups", "spaces-title", "spaces", "mails-title", "mails", "calls-title", "calls"} {
			out = append(out, fragment{"tenant-" + t.Label + "-" + part, "tenant-" + part, t, i})
		}
	}
	return out
}

// render writes out one fragment.
func (p *Page) render(f fragment) (string, error) {
	var b bytes.Buffer
	if err := p.pages.ExecuteTemplate(&b, f.template, f.data); err != nil {
		return "", fmt.Errorf("show %s: %w", f.id, err)
	}
	return b.String(), nil
}

// chat fills in what depends on Slack and on the reader.
func (p *Page) chat(as, channel string) *pageData {
	s := p.look(as, channel)
	d := &pageData{Place: s.place, Command: s.command}
	// The timeline first: having it on show is what makes messages seen.
	if s.place.Channel == homePlace {
		h := s.home()
		d.Talk.Home = &h
	} else {
		d.Talk.Items = s.timeline()
	}
	d.Views = s.views()
	d.People = s.persons()
	if i := slices.IndexFunc(d.People, func(one personData) bool { return one.Current }); i >= 0 {
		d.Me = d.People[i]
	}
	d.Lists.Channels, d.Lists.Apps = s.channels()
	bot, _ := s.user(p.cfg.Slack.Config().BotUserID)
	d.Lists.Bot = personData{ID: bot.ID, Name: shown(bot), Initials: initials(shown(bot)), Colour: colour(bot.ID)}
	for _, c := range append(slices.Clone(d.Lists.Channels), d.Lists.Apps...) {
		if c.Current {
			d.Here = c
		}
	}
	for _, c := range p.cfg.Slack.Connections() {
		if c.State == "live" {
			d.Bot.Sockets++
		}
	}
	d.Weather = p.weather(s.place)
	return d
}

// whole is the page with everything on it.
func (p *Page) whole(as, channel, draft string) *pageData {
	d := p.chat(as, channel)
	for _, t := range p.cfg.Tenants {
		d.Tenants = append(d.Tenants, p.tenant(t))
	}
	d.Draft = strings.TrimSpace(oneLine(draft))
	d.Style, d.Script = p.assets["app.css"].path, p.assets["app.js"].path
	where := d.Here.Name
	if d.Here.ID != homePlace && d.Here.Name != "Messages" {
		where = "#" + where
	}
	d.Title = fmt.Sprintf("%s as %s", where, d.Me.Name)
	d.Hints = p.hints(d)
	for i, step := range p.cfg.Tour {
		t := tourStep{Number: i + 1, Text: step.Text, Note: step.Note, Current: step.As == d.Place.As}
		for _, one := range d.People {
			if one.ID == step.As {
				t.Who = one.Name
			}
		}
		t.Href = placeData{As: step.As, Channel: step.Channel}.Href()
		if step.Text != "" {
			t.Href += "&" + draftQuery(step.Text)
		}
		d.Tour = append(d.Tour, t)
	}
	return d
}

func (p *Page) hints(d *pageData) []hint {
	var out []hint
	if p.cfg.Commands != nil {
		for _, c := range p.cfg.Commands() {
			full := d.Command + " " + c.Name
			out = append(out, hint{Kind: "command", Key: full, Insert: full, Usage: oneLine(c.Usage), Help: oneLine(c.Summary)})
		}
	}
	for _, one := range d.People {
		out = append(out, hint{Kind: "person", Key: "@" + one.Handle, Insert: "@" + one.Handle, Help: one.Name})
	}
	return out
}

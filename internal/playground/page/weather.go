package page

import (
	"net/http"
	"slices"
	"time"

	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
)

// fault is one switch of bad weather.
type fault struct {
	ID, Name, Help string
	// on sets it and returns how to lift it. Nil: it happens once.
	on func(*Page) []func()
	// once does it.
	once func(*Page)
}

// wait is how slow Qlik is when it is slow.
const wait = 30 * time.Second

func faults() []fault {
	return []fault{
		{ID: "qlik-slow", Name: "Qlik is slow", Help: "Every call takes 30 seconds.",
			on: onTenants(api(qlikemu.Fault{Delay: wait, Effect: qlikemu.TakesEffect, Answer: qlikemu.Normal}))},
		{ID: "qlik-refuses", Name: "Qlik refuses", Help: "Every call is answered with 403.",
			on: onTenants(api(qlikemu.Fault{Answer: qlikemu.Refuse, Status: http.StatusForbidden, Title: "Forbidden"}))},
		{ID: "qlik-drops", Name: "Qlik drops the line", Help: "Writes take effect, but the connection ends before the answer.",
			on: onTenants(writes(qlikemu.Fault{Effect: qlikemu.TakesEffect, Answer: qlikemu.Drop}))},
		{ID: "qlik-limits", Name: "Qlik limits the rate", Help: "Every call is answered with 429: come back in 10 seconds.",
			on: onTenants(api(qlikemu.Fault{Answer: qlikemu.Refuse, Status: http.StatusTooManyRequests, RetryAfter: 10 * time.Second}))},
		{ID: "slack-slow", Name: "Slack’s API is slow", Help: "Every call takes 5 seconds.",
			on: func(p *Page) []func() {
				return []func(){p.cfg.Slack.Fail("*", slackemu.Fault{Delay: 5 * time.Second})}
			}},
		{ID: "slack-disconnects", Name: "Cut the bot’s sockets now", Help: "Slack drops every Socket Mode connection, without a word.",
			once: func(p *Page) {
				for _, c := range p.cfg.Slack.Connections() {
					// One that has gone meanwhile is as good as cut.
					_ = p.cfg.Slack.Drop(c.ID)
				}
			}},
	}
}

func api(f qlikemu.Fault) []qlikemu.Fault {
	f.Operation, f.Count = "* /api/v1/**", qlikemu.Always
	return []qlikemu.Fault{f}
}

// writes names the operations that change a tenant; the searches that are sent
// by POST are left alone.
func writes(f qlikemu.Fault) []qlikemu.Fault {
	var out []qlikemu.Fault
	for _, op := range []string{
		"PATCH /api/v1/**", "PUT /api/v1/**", "DELETE /api/v1/**",
		"POST /api/v1/users", "POST /api/v1/users/actions/invite", "POST /api/v1/groups",
		"POST /api/v1/licenses/assignments/actions/*", "POST /api/v1/spaces", "POST /api/v1/spaces/*/assignments",
	} {
		f.Operation, f.Count = op, qlikemu.Always
		out = append(out, f)
	}
	return out
}

func onTenants(all []qlikemu.Fault) func(*Page) []func() {
	return func(p *Page) []func() {
		var lifts []func()
		for _, t := range p.cfg.Tenants {
			for _, f := range all {
				id := t.Server.AddFault(f)
				lifts = append(lifts, func() { t.Server.RemoveFault(id) })
			}
		}
		return lifts
	}
}

// setWeather turns a fault on or off, or does what happens once. It is false
// for a name that is none.
func (p *Page) setWeather(name string, on bool) bool {
	i := slices.IndexFunc(faults(), func(f fault) bool { return f.ID == name })
	switch {
	case name == "reset":
		p.calm()
	case i < 0:
		return false
	case faults()[i].once != nil:
		faults()[i].once(p)
	default:
		p.mu.Lock()
		lifts, is := p.lifts[name]
		delete(p.lifts, name)
		if on {
			if !is {
				lifts = faults()[i].on(p)
			}
			p.lifts[name] = lifts
			lifts = nil
		}
		p.mu.Unlock()
		for _, lift := range lifts {
			lift()
		}
	}
	p.changed()
	return true
}

// calm lifts every fault that this page has set, and no others.
func (p *Page) calm() {
	p.mu.Lock()
	var all []func()
	for _, lifts := range p.lifts {
		all = append(all, lifts...)
	}
	clear(p.lifts)
	p.mu.Unlock()
	for _, lift := range all {
		lift()
	}
}

// faultSwitch is a fault as the page shows it.
type faultSwitch struct {
	ID, Name, Help string
	Once, On       bool
}

type weatherData struct {
	Place    placeData
	Switches []faultSwitch
	On       int
}

func (p *Page) weather(at placeData) weatherData {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := weatherData{Place: at}
	for _, f := range faults() {
		_, on := p.lifts[f.ID]
		out.Switches = append(out.Switches, faultSwitch{ID: f.ID, Name: f.Name, Help: f.Help, Once: f.once != nil, On: on})
		if on {
			out.On++
		}
	}
	return out
}

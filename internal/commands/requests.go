package commands

import (
	"context"
	"fmt"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
)

// requests lists open requests, and the latest that have ended.
type requests struct{}

// Limits of the list.
const (
	maxOpen   = 30
	maxRecent = 10
	// readRecent is how many are read to find maxRecent that may be shown.
	readRecent = 100
)

func (*requests) Spec() Spec {
	return Spec{
		Name: "requests", Summary: "List open requests and the latest that have ended",
		Examples: []string{"requests"},
		Class:    ClassPeople, Touches: "none",
	}
}

func (c *requests) Parse(a Args) error { return noWords(c.Spec(), a) }

func (*requests) Typed() Args { return Args{} }

func (*requests) Answer(ctx context.Context, w World) (Reply, error) {
	if w.Requests == nil {
		return Reply{}, refused("", "The requests cannot be read.")
	}
	open, err := w.Requests.OpenRequests(ctx)
	if err != nil {
		return Reply{}, unreadableRequests(ctx, err)
	}
	recent, err := w.Requests.RecentRequests(ctx, readRecent)
	if err != nil {
		return Reply{}, unreadableRequests(ctx, err)
	}
	names := callerNames{w: w, known: map[approval.Identity]string{}}
	now := time.Now()
	waiting := requestTable()
	hidden := 0
	for _, r := range open {
		switch {
		case !w.maySee(r):
		case len(waiting.Rows) == maxOpen:
			hidden++
		default:
			waiting.Rows = append(waiting.Rows, requestRow(r, names.of(ctx, r.Caller), deadline(r, now)))
		}
	}
	ended := requestTable()
	for _, r := range recent {
		if r.State.Ended() && w.maySee(r) && len(ended.Rows) < maxRecent {
			ended.Rows = append(ended.Rows, requestRow(r, names.of(ctx, r.Caller), ago(r.EndedAt, now)))
		}
	}
	reply := Reply{Title: "Requests"}
	first := Section{Title: "Open"}
	if len(waiting.Rows) == 0 {
		first.Lines = []string{"No request is open that you may see."}
	} else {
		first.Table = waiting
	}
	if hidden > 0 {
		first.Lines = append(first.Lines, fmt.Sprintf("%d more are open.", hidden))
	}
	reply.Sections = append(reply.Sections, first)
	if len(ended.Rows) > 0 {
		reply.Sections = append(reply.Sections, Section{Title: "Ended", Table: ended})
	}
	if len(waiting.Rows)+len(ended.Rows) > 0 {
		reply.Lines = []string{"\"request show <id>\" shows one."}
	}
	return reply, nil
}

// maySee says whether the caller may be shown the request. Who asked for it
// always may.
func (w World) maySee(r approval.Request) bool {
	if w.Caller.User != "" && r.Caller == w.Caller {
		return true
	}
	return w.MaySee != nil && w.MaySee(r)
}

func requestTable() *Table {
	return &Table{Head: []string{"Request", "State", "What", "Asked by", "When"}}
}

func requestRow(r approval.Request, caller, when string) []string {
	what := r.Plan.Title
	if what == "" {
		what = r.Command
	}
	return []string{r.ID, string(r.State), what, caller, when}
}

// deadline says how long an open request still waits.
func deadline(r approval.Request, now time.Time) string {
	if r.State == approval.Waiting && r.ExpiresAt.After(now) {
		return "expires in " + span(r.ExpiresAt.Sub(now))
	}
	return ago(r.CreatedAt, now)
}

func ago(at, now time.Time) string {
	switch d := now.Sub(at); {
	case at.IsZero():
		return ""
	case d < time.Minute:
		return "just now"
	default:
		return span(d) + " ago"
	}
}

// span is a duration in its largest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute", "minutes")
	case d < 48*time.Hour:
		return count(int(d/time.Hour), "hour", "hours")
	}
	return count(int(d/(24*time.Hour)), "day", "days")
}

// callerNames finds what people are called in Slack, each once.
type callerNames struct {
	w     World
	known map[approval.Identity]string
}

func (n callerNames) of(ctx context.Context, id approval.Identity) string {
	if id == n.w.Caller && id.User != "" {
		return "you"
	}
	if name, ok := n.known[id]; ok {
		return name
	}
	name := id.User
	if n.w.People != nil {
		// A name is only for reading; without one the ID will do.
		if p, err := n.w.People.SlackUser(ctx, id.User); err == nil && p.ID == id.User && tidy(p.Name) != "" {
			name = fmt.Sprintf("%s (%s)", tidy(p.Name), id.User)
		}
	}
	n.known[id] = name
	return name
}

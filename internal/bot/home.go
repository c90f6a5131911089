package bot

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/slackapp"
)

// viewer is somebody who has looked at App Home.
type viewer struct {
	who approval.Identity
	at  time.Time
}

// How long after somebody looked at App Home it is kept up to date for them,
// and for how many people.
const (
	homeFor    = time.Hour
	maxViewers = 50
)

func (b *Bot) sawHome(who approval.Identity) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for id, v := range b.viewers {
		if now.Sub(v.at) > homeFor {
			delete(b.viewers, id)
		}
	}
	if len(b.viewers) < maxViewers {
		b.viewers[who.User] = viewer{who, now}
	}
}

// homeTasks refresh the App Home of those who have looked at it lately.
//
// A request that is running changes every few seconds; Home follows that more
// slowly, because Slack takes about a hundred views a minute.
func (b *Bot) homeTasks(r approval.Request) []approval.Task {
	after := time.Second
	if r.State == approval.Running {
		after = 30 * time.Second
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var ts []approval.Task
	now := time.Now()
	for id, v := range b.viewers {
		body, err := json.Marshal(v.who)
		if err != nil || now.Sub(v.at) > homeFor {
			continue
		}
		ts = append(ts, approval.Task{Key: taskHome + ":" + id, Kind: taskHome, Body: body, RunAt: now.Add(after)})
	}
	return ts
}

// home is the handler of taskHome. A view that could not be shown is dropped:
// the next change, or the next look, shows it.
func (b *Bot) home(ctx context.Context, c approval.Claim) error {
	var who approval.Identity
	if err := json.Unmarshal(c.Body, &who); err == nil {
		if err := b.publishHome(ctx, who); err != nil && ctx.Err() == nil {
			b.log.Warn("cannot refresh App Home", "actor", who.User, "error", err)
		}
	}
	return b.store.Append(ctx, approval.Effects{Finish: &c})
}

// publishHome shows somebody what waits for them and what they asked for.
func (b *Bot) publishHome(ctx context.Context, who approval.Identity) error {
	p, m, err := b.person(ctx, who)
	var stranger *slackapp.StrangerError
	if errors.As(err, &stranger) {
		return b.slack.PublishHome(ctx, who.User, slackapp.Home{Refused: stranger.Say})
	}
	if err != nil {
		return err
	}
	var h slackapp.Home
	open, err := b.store.OpenRequests(ctx)
	if err != nil {
		return err
	}
	for _, r := range open {
		if r.State == approval.Waiting && b.mayDecide(p, r) && (r.Confirms() || !isTarget(r.Plan.Targets, m)) {
			h.Waiting = append(h.Waiting, r)
		}
	}
	recent, err := b.store.RecentRequests(ctx, 200)
	if err != nil {
		return err
	}
	for _, r := range recent {
		if r.Caller == m.Identity {
			h.Mine = append(h.Mine, r)
		}
	}
	return b.slack.PublishHome(ctx, who.User, h)
}

package bot

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/slackapp"
)

// owed is an answer that somebody is owed: the body of a taskReply.
type owed struct {
	To    slackapp.ReplyTo `json:"to"`
	Title string           `json:"title"`
	Lines []string         `json:"lines"`
	// Channel is pointed to, when it is not empty.
	Channel string    `json:"channel,omitempty"`
	At      time.Time `json:"at"`
}

// owedFor is how long an answer is worth giving: as long as a response_url lives.
const owedFor = 25 * time.Minute

func replyTask(key string, o owed) approval.Task {
	body, err := json.Marshal(o)
	if err != nil {
		// It is strings and times; this cannot fail.
		panic("an answer cannot be encoded: " + err.Error())
	}
	return approval.Task{Key: taskReply + ":" + key, Kind: taskReply, Body: body, RunAt: o.At}
}

// reply is the handler of taskReply.
func (b *Bot) reply(ctx context.Context, c approval.Claim) error {
	var o owed
	if err := json.Unmarshal(c.Body, &o); err != nil {
		b.log.Error("a stored answer cannot be read and is dropped", "op", c.Key, "error", err)
		return b.store.Append(ctx, approval.Effects{Finish: &c})
	}
	err := b.slack.ReplyPointing(ctx, o.To, commands.Reply{Title: o.Title, Lines: o.Lines}, o.Channel)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, slackapp.ErrUnavailable) && time.Since(o.At) < owedFor {
			if after := slackapp.After(err); after > 0 {
				return execution.Later(time.Now().Add(after), "Slack asked to wait")
			}
			return err
		}
		b.log.Warn("an answer could not be given and is dropped", "actor", o.To.Who.User, "error", err)
	}
	return b.store.Append(ctx, approval.Effects{Finish: &c})
}

// say answers at once, without a row: for reads, which the person can repeat.
func (b *Bot) say(ctx context.Context, to slackapp.ReplyTo, reply commands.Reply) {
	if err := b.slack.Reply(ctx, to, reply); err != nil {
		b.log.Warn("an answer could not be given", "actor", to.Who.User, "error", err)
	}
}

// cardEvery is the least time between two edits of the card of a request that
// is running; Slack allows about fifty edits a minute in all.
const cardEvery = 2 * time.Second

// card is the handler of approval.TaskCard: it makes every card of a request
// show it as it stands. Several changes in a row are one edit.
func (b *Bot) card(ctx context.Context, c approval.Claim) error {
	r, err := b.store.Request(ctx, c.Request)
	if errors.Is(err, approval.ErrNoRequest) {
		return b.store.Append(ctx, approval.Effects{Finish: &c})
	}
	if err != nil {
		return err
	}
	if at := b.nextEdit(r); time.Now().Before(at) {
		return execution.Later(at, "cards are edited at a calm pace")
	}
	for i := range r.Cards {
		if err := b.show(ctx, c, r, i); err != nil {
			if after := slackapp.After(err); after > 0 {
				return execution.Later(time.Now().Add(after), "Slack asked to wait")
			}
			return err
		}
	}
	b.edited(r)
	return b.store.Append(ctx, approval.Effects{Finish: &c, Tasks: b.homeTasks()})
}

// show brings one card up to date. A message that is gone is posted anew.
func (b *Bot) show(ctx context.Context, c approval.Claim, r approval.Request, i int) error {
	at := r.Cards[i]
	if at.TS != "" {
		err := b.slack.UpdateCard(ctx, at, r)
		if !errors.Is(err, slackapp.ErrGone) {
			return err
		}
		b.log.Warn("a card is gone and is posted anew", "request", r.ID, "error", err)
	}
	posted, err := b.slack.PostCard(ctx, at.Channel, r)
	if err != nil {
		if errors.Is(err, slackapp.ErrCannotPost) && c.Attempt == 1 {
			b.cannotPost(ctx, r)
		}
		return err
	}
	_, err = b.store.ChangeRequest(ctx, r.ID, func(now *approval.Request) (approval.Effects, error) {
		if i < len(now.Cards) {
			now.Cards[i] = posted
		}
		return approval.Effects{Hold: &c}, nil
	})
	return err
}

// cannotPost tells the caller that nobody can see the request.
func (b *Bot) cannotPost(ctx context.Context, r approval.Request) {
	o := owed{To: slackapp.ReplyTo{Who: r.Caller, Channel: r.Channel}, At: time.Now(),
		Title: r.ID + " was stored, but its card cannot be posted, so nobody can decide on it yet.",
		Lines: []string{"Nothing has been changed. Make sure that the bot is in the channel; the card is tried again until the request expires."},
	}
	if err := b.store.Append(ctx, approval.Effects{Tasks: []approval.Task{replyTask("lost-"+r.ID, o)}}); err != nil {
		b.log.Error("cannot tell that a card cannot be posted", "request", r.ID, "error", err)
	}
}

func (b *Bot) nextEdit(r approval.Request) time.Time {
	if r.State != approval.Running {
		return time.Time{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	last, ok := b.shown[r.ID]
	if !ok {
		return time.Time{}
	}
	return last.Add(cardEvery)
}

func (b *Bot) edited(r approval.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.State.Ended() {
		delete(b.shown, r.ID)
		return
	}
	b.shown[r.ID] = time.Now()
}

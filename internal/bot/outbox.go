package bot

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
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
			b.log.Warn("an answer could not be given yet", "actor", o.To.Who.User, "error", err)
			return execution.Later(time.Now().Add(nextTry(c.Attempt, err)), "the answer could not be given yet")
		}
		b.log.Warn("an answer could not be given and is dropped", "actor", o.To.Who.User, "error", err)
	}
	return b.store.Append(ctx, approval.Effects{Finish: &c})
}

// nextTry is how long to wait with what Slack did not take. It grows fast,
// because Slack may have taken it without telling, and each try is then one
// more copy.
func nextTry(attempt int, err error) time.Duration {
	if after := slackapp.After(err); after > 0 {
		return after
	}
	d := 2 * time.Second
	for range min(attempt, 8) - 1 {
		d *= 3
	}
	return min(d, 5*time.Minute)
}

// say answers at once, without a row: for reads. Only where Slack does not
// take the answer now it becomes an owed one.
func (b *Bot) say(ctx context.Context, to slackapp.ReplyTo, reply commands.Reply) {
	err := b.slack.Reply(ctx, to, reply)
	if err == nil {
		return
	}
	b.log.Warn("an answer could not be given at once", "actor", to.Who.User, "error", err)
	if !errors.Is(err, slackapp.ErrUnavailable) || ctx.Err() != nil {
		return
	}
	now := time.Now()
	task := replyTask(newID(), owed{To: to, Title: reply.Title, Lines: b.flat(reply), At: now})
	task.RunAt = now.Add(nextTry(1, err))
	if err := b.store.Append(ctx, approval.Effects{Tasks: []approval.Task{task}}); err != nil {
		b.log.Error("an answer is lost", "actor", to.Who.User, "error", err)
	}
}

// flat is what a reply says below its title, line by line.
func (b *Bot) flat(reply commands.Reply) []string {
	ls := slices.Clone(reply.Lines)
	if reply.Request != nil {
		ls = append(ls, "It is "+string(reply.Request.State)+". See it with "+b.cfgCommand("request show "+reply.Request.ID))
	}
	for _, s := range reply.Sections {
		if s.Title != "" {
			ls = append(ls, s.Title)
		}
		ls = append(ls, s.Lines...)
		if s.Table != nil {
			for _, row := range s.Table.Rows {
				ls = append(ls, strings.Join(row, " · "))
			}
		}
	}
	return ls
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
			if slackapp.Unclear(err) {
				b.mayLandLate(r)
			}
			if errors.Is(err, slackapp.ErrUnavailable) {
				b.log.Warn("a card could not be shown yet", "request", r.ID, "error", err)
				return execution.Later(time.Now().Add(nextTry(c.Attempt, err)), "the card could not be shown yet")
			}
			if r.State.Ended() && (errors.Is(err, slackapp.ErrCannotPost) || errors.Is(err, slackapp.ErrRejected)) {
				b.log.Error("the card of an ended request cannot be shown and is left as it is", "request", r.ID, "error", err)
				continue
			}
			return err
		}
	}
	if at, again := b.edited(r); again {
		if err := b.store.Append(ctx, approval.Effects{Hold: &c, Tasks: b.homeTasks(r)}); err != nil {
			return err
		}
		return execution.Later(at, "an older edit may land late")
	}
	return b.store.Append(ctx, approval.Effects{Finish: &c, Tasks: b.homeTasks(r)})
}

// landsWithin is how late Slack may carry out an edit on which it gave no
// answer.
const landsWithin = time.Minute

// mayLandLate remembers that an edit of the request's card may still be
// carried out, over whatever is shown by then: so the card is shown once more
// when that is past.
func (b *Bot) mayLandLate(r approval.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unclear[r.ID] = time.Now().Add(landsWithin)
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
	// A message that is posted and not noted becomes a copy that nobody edits,
	// so a stop of the bot does not cut this in two.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	posted, err := b.slack.PostCard(ctx, at.Channel, r)
	if err != nil {
		if errors.Is(err, slackapp.ErrCannotPost) || errors.Is(err, slackapp.ErrRejected) {
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
	task := replyTask("lost-"+r.ID, o)
	task.Once = true
	if err := b.store.Append(ctx, approval.Effects{Tasks: []approval.Task{task}}); err != nil {
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

// edited notes that the card shows the request, and says when it has to be
// shown once more, if it has.
func (b *Bot) edited(r approval.Request) (at time.Time, again bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, again = b.unclear[r.ID]
	if again && !time.Now().Before(at) {
		delete(b.unclear, r.ID)
		again = false
	}
	if r.State.Ended() {
		delete(b.shown, r.ID)
	} else {
		b.shown[r.ID] = time.Now()
	}
	return at, again
}

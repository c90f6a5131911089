package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/audit"
	"github.com/qlik-chatops/bot/internal/authz"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/slackapp"
)

const (
	// patience is how long a stored command waits for Slack to tell who the
	// caller is before the person is told that it failed.
	patience = 2 * time.Minute
	// sootheAfter is when somebody who waits is told that it takes a while.
	sootheAfter = 3 * time.Second
	// planWithin bounds making a plan.
	planWithin = 2 * time.Minute
	// maxOpen is how many open requests one caller may have.
	maxOpen = 5
)

// refused is a command that ends here: what the person is told, and the
// record's detail.
type refused struct {
	say  commands.Reply
	why  string
	kind string // the record's outcome
	// because tells why an approved request that meets this refusal at its run
	// is not run; empty where the title of say does.
	because string
	// temporary says that the same may be possible a little later.
	temporary bool
}

func (r *refused) Error() string { return r.why }

func refusal(why, title string, lines ...string) error {
	return &refused{say: commands.Reply{Title: title, Lines: lines}, why: why, kind: "refused"}
}

// ask is the handler of taskAsk: from a stored command to a request that
// waits for its votes, or to a plain answer.
func (b *Bot) ask(ctx context.Context, c approval.Claim) error {
	var a asked
	if err := json.Unmarshal(c.Body, &a); err != nil {
		b.log.Error("a stored command cannot be read and is dropped", "op", c.Key, "error", err)
		return b.store.Append(ctx, approval.Effects{Finish: &c})
	}
	calm := b.soothe(ctx, a)
	defer calm()
	r, err := b.open(ctx, a)
	var no *refused
	if err != nil && !errors.As(err, &no) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(a.At) < patience {
			if after := slackapp.After(err); after > 0 {
				return execution.Later(time.Now().Add(after), "Slack asked to wait")
			}
			return err // tried again
		}
		b.log.Error("a command was given up", "request", a.ID, "error", err)
		no = &refused{why: "could not be judged", kind: "refused", say: commands.Reply{
			Title: "It could not be found out who you are and what you may do, so nothing was done.",
			Lines: []string{"Nothing was changed. Please try again in a minute."},
		}}
	}
	calm()
	if no != nil {
		return b.turnAway(ctx, c, a, no)
	}
	return b.file(ctx, c, a, r)
}

// turnAway records a refusal and owes the person its reason.
func (b *Bot) turnAway(ctx context.Context, c approval.Claim, a asked, no *refused) error {
	return b.store.Append(ctx, approval.Effects{
		Records: []audit.Entry{{
			Request: a.ID, Event: audit.EventRefused, Actor: audit.Actor(a.who()),
			Tenant: a.Tenant, Command: a.Command, Outcome: no.kind, Detail: no.why, Policy: b.policy.Digest(),
		}},
		Tasks:  []approval.Task{replyTask(a.ID, owed{To: a.To, Title: no.say.Title, Lines: no.say.Lines, At: time.Now()})},
		Finish: &c,
	})
}

// file stores the request, unless an identical one is open or the caller has
// too many.
func (b *Bot) file(ctx context.Context, c approval.Claim, a asked, r approval.Request) error {
	b.opening.Lock()
	defer b.opening.Unlock()
	open, err := b.store.OpenRequests(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	effects, err := r.Open(now)
	if err != nil {
		return err
	}
	mine := 0
	for _, o := range open {
		if o.Command == r.Command && o.Tenant == r.Tenant && o.Digest == r.Digest && (o.State == approval.Waiting || o.State == approval.Approved || o.State == approval.Running) {
			no := &refused{kind: "joined", why: "joined to the identical " + o.ID, say: commands.Reply{
				Title: fmt.Sprintf("%s asks for exactly this already, so no second request was made.", o.ID),
				Lines: []string{fmt.Sprintf("It is %s. See it with %s", o.State, b.cfgCommand("request show "+o.ID))},
			}}
			return b.turnAway(ctx, c, a, no)
		}
		if o.Caller == r.Caller {
			mine++
		}
	}
	if mine >= maxOpen {
		no := &refused{kind: "refused", why: "too many open requests", say: commands.Reply{
			Title: fmt.Sprintf("You have %d open requests, which is the most at a time. Nothing was changed.", mine),
			Lines: []string{"Wait for one to end, or cancel one. See them with " + b.cfgCommand("requests")},
		}}
		return b.turnAway(ctx, c, a, no)
	}
	effects.Records = append([]audit.Entry{r.Entry(audit.EventAsked, r.Caller, "allowed", a.Text)}, effects.Records...)
	effects.Finish = &c
	if r.Cards[0].Channel != a.To.Channel {
		effects.Tasks = append(effects.Tasks, replyTask(a.ID, owed{
			To: a.To, At: now, Channel: r.Cards[0].Channel,
			Title: fmt.Sprintf("%s · waiting: %s", r.ID, r.Plan.Title),
			Lines: []string{"Nothing has been changed yet. Its card stands in the place named below."},
		}))
	}
	if err := b.store.CreateRequest(ctx, r, effects); err != nil {
		return fmt.Errorf("store request %s: %w", r.ID, err)
	}
	b.log.Info("a request waits", "request", r.ID, "tenant", r.Tenant, "actor", r.Caller.User, "op", r.Command)
	return nil
}

// open judges and plans a command. Its error is a *refused where the answer
// is no, and any other where it could not be found out.
func (b *Bot) open(ctx context.Context, a asked) (approval.Request, error) {
	var none approval.Request
	j, err := b.judge(ctx, a)
	if err != nil {
		return none, err
	}
	plan := j.plan
	if len(plan.Steps) == 0 {
		return none, &refused{kind: "nothing to do", why: plan.Nothing, say: commands.Reply{
			Title: plan.Nothing, Lines: append(plan.Notes, "Nothing was changed."),
		}}
	}
	demands, err := b.demands(ctx, j.verdict.Demands)
	if err != nil {
		return none, err
	}
	if why := unreachable(demands, a.who(), plan.Targets); why != "" {
		return none, refusal("quorum out of reach", why, "Nothing was changed.")
	}
	r := approval.Request{
		ID: a.ID, Caller: j.member.Identity, Channel: a.To.Channel, Text: a.Text,
		Command: a.Command, Args: a.Args, Tenant: plan.Tenant, Reason: a.Reason,
		Plan: plan, Policy: j.verdict.Policy, Demands: demands,
	}
	channel, err := b.place(ctx, r)
	if err != nil {
		return none, err
	}
	r.Cards = []approval.Card{{Channel: channel}}
	return r, nil
}

// plan makes a command's plan with the policy's kind of errors.
func (b *Bot) plan(ctx context.Context, change commands.Change, who approval.Identity) (approval.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, planWithin)
	defer cancel()
	plan, err := change.Plan(ctx, b.world(who))
	var no *commands.RefusedError
	if errors.As(err, &no) {
		if no.Cause != nil {
			b.log.Warn("a plan could not be made", "op", change.Spec().Name, "error", no.Cause)
		}
		lines := []string{}
		if no.Hint != "" {
			lines = append(lines, no.Hint)
		}
		return plan, &refused{say: commands.Reply{Title: no.Say, Lines: lines}, why: no.Say, kind: "refused", temporary: no.Temporary}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return plan, &refused{why: "planning took too long", kind: "refused", temporary: true, say: commands.Reply{
			Title: "Reading the tenant took too long, so no plan was made. Nothing was changed.",
			Lines: []string{"Please try again later."},
		}}
	}
	return plan, err
}

// within says whether a plan changes that tenant and no other: the policy is
// asked about one.
func within(p approval.Plan, tenant string) bool {
	for _, s := range p.Steps {
		if s.Tenant != tenant {
			return false
		}
	}
	return p.Tenant == tenant
}

// place finds the channel for the card: for approvals the configured one, for
// a confirmation where the command was typed if the bot can post there.
func (b *Bot) place(ctx context.Context, r approval.Request) (string, error) {
	first, second := b.cfg.ApprovalsChannel, ""
	if first == "" {
		first = r.Channel
	} else if r.Confirms() {
		first, second = r.Channel, b.cfg.ApprovalsChannel
	}
	if strings.HasPrefix(first, "D") {
		if r.Confirms() {
			return r.Caller.User, nil // the person's own direct messages with the bot
		}
		return "", refusal("approvals in a direct message", "Others have to approve this, and nobody else can see a direct message. Ask in a channel where the approvers are.", "Nothing was changed.")
	}
	p, err := b.slack.Place(ctx, first)
	if err != nil {
		return "", err
	}
	if (!p.Post || p.Shared) && second != "" {
		if p, err = b.slack.Place(ctx, second); err != nil {
			return "", err
		}
	}
	if !p.Post || p.Shared {
		if p.ID != r.Channel {
			p.Why = "The bot cannot put this before the approvers: it cannot post in the channel for approvals, or that channel is shared with another organisation. Ask the bot's operators to put that right."
		}
		return "", refusal("the card cannot stand in "+p.ID, p.Why, "Nothing was changed.")
	}
	return p.ID, nil
}

// refusedBy tells a verdict's reasons.
func refusedBy(v authz.Verdict) error {
	lines := strings.Split(v.Explain(), "\n")
	var why []string
	for _, r := range v.Refusals {
		s := string(r.Kind)
		if r.Rule != "" {
			s += " by rule " + r.Rule
		}
		why = append(why, s)
	}
	return &refused{
		why: strings.Join(why, "; "), kind: "refused", because: "the policy does not allow it (any more).",
		say: commands.Reply{Title: lines[0], Lines: append(lines[1:], "Nothing was changed.")},
	}
}

// soothe tells somebody who waits that it takes a while. The returned
// function stops that.
func (b *Bot) soothe(ctx context.Context, a asked) func() {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ctx.Done():
		case <-time.After(sootheAfter):
			// Not owed: said late, it would not be true any more.
			_ = b.slack.Reply(ctx, a.To, commands.Reply{Title: "Still reading from " + a.Tenant + ". The answer follows here; nothing has been changed."})
		}
	}()
	return func() { cancel(); <-done }
}

package slackapp

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/qlik-chatops/bot/internal/approval"
)

// The action IDs of a card's buttons. They are public interface.
const (
	ActionConfirm     = "request.confirm"
	ActionApprove     = "request.approve"
	ActionDeny        = "request.deny"
	ActionCancel      = "request.cancel"
	ActionWithdraw    = "request.withdraw"
	ActionDetails     = "request.details"
	ActionHappened    = "request.happened"
	ActionNotHappened = "request.not_happened"
	ActionRecheck     = "request.recheck"
)

// Limits of Block Kit and what fits a phone's screen.
const (
	maxHeader  = 150
	maxSection = 2900 // of 3000, so that a mark at the end always fits
	maxText    = 3500 // of 4000 for chat.update
	maxLine    = 300
	cardSteps  = 8  // steps shown on the card; the rest is behind Details
	cardItems  = 10 // lines of results, the same
	cardNotes  = 8
)

// renderCard is the one message that shows a request: its top-level text,
// which is all that notifications and screen readers have, and its blocks.
func renderCard(r approval.Request) (string, []slack.Block) {
	c := &card{r: r}
	c.header()
	c.facts()
	c.steps()
	c.notes()
	c.askedBy()
	c.votes()
	c.outcome()
	if !readable(r) {
		c.add(slack.NewSectionBlock(plain("This is too much to be read in full here, so it cannot be decided on. Please ask for it in smaller parts.", maxLine), nil, nil))
	}
	c.buttons()
	return cardText(r), c.blocks
}

// card collects the blocks of one message.
type card struct {
	r      approval.Request
	blocks []slack.Block
}

func (c *card) add(b ...slack.Block) { c.blocks = append(c.blocks, b...) }

// id is a block ID: new with each revision, so that Slack never mixes the
// state of an old copy into a new one.
func (c *card) id(part string) string {
	return fmt.Sprintf("%s.%d.%s", c.r.ID, c.r.Revision, part)
}

func (c *card) context(part string, elements ...slack.MixedElement) {
	c.add(slack.NewContextBlock(c.id(part), elements...))
}

func (c *card) header() {
	c.add(&slack.HeaderBlock{Type: slack.MBTHeader, Text: plain(c.r.Plan.Title, maxHeader), BlockID: c.id("header")})
	line := fmt.Sprintf("%s · *%s* · tenant %s", c.r.ID, c.r.State, c.r.Tenant)
	if c.r.Version > 1 {
		line += fmt.Sprintf(" · version %d of the plan", c.r.Version)
	}
	c.context("state", ours(line))
	switch {
	case c.r.Plan.GivesAdmin():
		c.context("power", ours("*Gives administrator power.*"))
	case c.r.Plan.TakesAdmin():
		c.context("power", ours("*Takes administrator power away.*"))
	}
	if c.r.Notice != "" && c.r.State == approval.Waiting {
		c.add(slack.NewSectionBlock(plain(c.r.Notice, maxSection), nil, nil, slack.SectionBlockOptionBlockID(c.id("notice"))))
	}
}

func (c *card) facts() {
	if len(c.r.Plan.Facts) == 0 {
		return
	}
	ls := make([]string, 0, len(c.r.Plan.Facts))
	for _, f := range c.r.Plan.Facts {
		ls = append(ls, f.Label+": "+f.Value)
	}
	c.section("facts", ls)
}

// section shows lines of plain text, as many blocks as they need.
func (c *card) section(part string, ls []string) {
	for i, chunk := range chunks(ls) {
		c.add(slack.NewSectionBlock(lines(chunk, maxLine), nil, nil, slack.SectionBlockOptionBlockID(c.id(part+strconv.Itoa(i)))))
	}
}

// chunks cuts lines into groups that fit a section block each.
func chunks(ls []string) [][]string {
	var all [][]string
	var one []string
	size := 0
	for _, l := range ls {
		n := min(len([]rune(l)), maxLine) + 1
		if size+n > maxSection && len(one) > 0 {
			all, one, size = append(all, one), nil, 0
		}
		one, size = append(one, l), size+n
	}
	if len(one) > 0 {
		all = append(all, one)
	}
	return all
}

func (c *card) steps() {
	all := stepLines(c.r, false)
	if len(c.r.Plan.Steps) > cardSteps {
		all = stepLines(approvalHead(c.r, cardSteps), false)
		all = append(all, fmt.Sprintf("… and %d more steps: see Details.", len(c.r.Plan.Steps)-cardSteps))
	}
	c.section("steps", all)
}

// approvalHead is the request with its first n steps only.
func approvalHead(r approval.Request, n int) approval.Request {
	r.Plan.Steps = r.Plan.Steps[:n]
	if len(r.Steps) > n {
		r.Steps = r.Steps[:n]
	}
	return r
}

// stepLines says step by step what happens or happened. In full, each
// object of a step over many has its own line.
func stepLines(r approval.Request, full bool) []string {
	var ls []string
	for i, s := range r.Plan.Steps {
		line := s.Line
		if len(r.Plan.Steps) > 1 {
			line = fmt.Sprintf("%d. %s", i+1, s.Line)
		}
		var rec approval.StepRecord
		if i < len(r.Steps) {
			rec = r.Steps[i]
			line += " – " + stepWord(rec.State)
		}
		ls = append(ls, line)
		if len(rec.Items) == 0 {
			ls = append(ls, changeLines(s, full)...)
		}
		if rec.Error != "" {
			ls = append(ls, "· "+rec.Error)
		}
		if rec.Note != "" {
			ls = append(ls, "· "+rec.Note)
		}
		ls = append(ls, itemLines(rec.Items, full)...)
	}
	return ls
}

func changeLines(s approval.Step, full bool) []string {
	var ls []string
	for n, ch := range s.Changes {
		if !full && n >= cardItems {
			ls = append(ls, fmt.Sprintf("· … and %d more: see Details.", len(s.Changes)-n))
			break
		}
		ls = append(ls, fmt.Sprintf("· %s: %s → %s", ch.Property, orDash(ch.Before), orDash(ch.After)))
	}
	return ls
}

// itemLines tell how it went for each object. On a card, failures come first,
// since they are what somebody has to act on.
func itemLines(items []approval.Item, full bool) []string {
	var ls []string
	show := func(states ...approval.ItemState) {
		for _, it := range items {
			for _, st := range states {
				if it.State == st {
					ls = append(ls, "· "+itemLine(it))
				}
			}
		}
	}
	if full {
		show(approval.ItemFailed, approval.ItemPartly, approval.ItemDoubt, approval.ItemThere, approval.ItemDone)
		return ls
	}
	if len(items) == 0 {
		return nil
	}
	count := map[approval.ItemState]int{}
	for _, it := range items {
		count[it.State]++
	}
	sum := fmt.Sprintf("· %d done", count[approval.ItemDone])
	for _, p := range []struct {
		st   approval.ItemState
		word string
	}{{approval.ItemThere, "already there"}, {approval.ItemPartly, "done in part"}, {approval.ItemFailed, "failed"}, {approval.ItemDoubt, "in doubt"}} {
		if count[p.st] > 0 {
			sum += fmt.Sprintf(", %d %s", count[p.st], p.word)
		}
	}
	show(approval.ItemFailed, approval.ItemPartly, approval.ItemDoubt, approval.ItemThere, approval.ItemDone)
	if len(ls) > cardItems {
		more := len(ls) - cardItems
		ls = append(ls[:cardItems:cardItems], fmt.Sprintf("· … and %d more: see Details.", more))
	}
	return append([]string{sum}, ls...)
}

func itemLine(it approval.Item) string {
	word := map[approval.ItemState]string{
		approval.ItemDone: "done", approval.ItemThere: "already there",
		approval.ItemFailed: "failed", approval.ItemPartly: "done in part", approval.ItemDoubt: "in doubt",
	}[it.State]
	if it.Why != "" {
		return fmt.Sprintf("%s: %s (%s)", it.Name, word, it.Why)
	}
	return it.Name + ": " + word
}

func stepWord(s approval.StepState) string {
	switch s {
	case approval.StepPlanned:
		return "not begun"
	case approval.StepSending:
		return "sent, being read back"
	case approval.StepDone:
		return "done and verified"
	case approval.StepFailed:
		return "failed"
	case approval.StepSkipped:
		return "not sent"
	case approval.StepDoubt:
		return "in doubt"
	}
	return "in doubt"
}

func (c *card) notes() {
	notes := c.r.Plan.Notes
	if len(notes) == 0 || (c.r.State != approval.Waiting && c.r.State != approval.Approved) {
		return
	}
	ls := make([]string, 0, len(notes))
	for i, n := range notes {
		if i == cardNotes {
			ls = append(ls, fmt.Sprintf("… and %d more: see Details.", len(notes)-i))
			break
		}
		ls = append(ls, "Note: "+n)
	}
	c.section("notes", ls)
}

func (c *card) askedBy() {
	r := c.r
	c.context("asked", ours(fmt.Sprintf("Asked by %s %s", person(r.Caller.User), date(r.CreatedAt))))
	if r.Reason != "" {
		c.context("reason", plain("Reason: "+r.Reason, 1200))
	}
}

func (c *card) votes() {
	r := c.r
	if r.Confirms() {
		if r.State == approval.Waiting {
			c.context("votes", ours(fmt.Sprintf("Waits for %s to confirm, until %s.", person(r.Caller.User), date(r.ExpiresAt))))
			return
		}
		c.decided()
		return
	}
	if r.State == approval.Waiting {
		for i, d := range r.Demands {
			if i == 5 {
				c.context("demands-more", plain(fmt.Sprintf("… and %d more demands.", len(r.Demands)-i), maxLine))
				break
			}
			c.context("rule"+strconv.Itoa(i), plain(fmt.Sprintf("Rule %s: %d of %d approvals", d.Rule, len(r.VotesFor(d.Rule)), d.Count), maxLine))
			c.context("from"+strconv.Itoa(i), ours("May approve: "+whoMay(d)))
		}
		c.context("until", ours("Decide before "+date(r.ExpiresAt)+". The votes of whoever asked, and of whom it is about, do not count."))
	}
	c.decided()
}

// whoMay mentions the approvers of a demand, so that they are told.
func whoMay(d approval.Demand) string {
	var names []string
	for _, u := range d.Users {
		names = append(names, person(u))
	}
	for _, g := range d.UserGroups {
		names = append(names, group(g))
	}
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// decided lists who decided what, on the version that is shown.
func (c *card) decided() {
	var ls []string
	for _, d := range c.r.Decisions {
		if d.Version != c.r.Version {
			continue
		}
		word := map[approval.DecisionKind]string{
			approval.Confirm: "confirmed", approval.Approve: "approved", approval.Deny: "denied",
			approval.Cancel: "cancelled", approval.Withdraw: "took the approval back",
			approval.Happened: "looked and said that it happened", approval.NotHappened: "looked and said that it did not happen",
			approval.Recheck: "had the bot look again",
		}[d.Kind]
		ls = append(ls, fmt.Sprintf("%s %s %s", person(d.By.User), word, date(d.At)))
	}
	const most = 15
	if len(ls) > most {
		ls = append([]string{fmt.Sprintf("… %d earlier decisions", len(ls)-most)}, ls[len(ls)-most:]...)
	}
	if len(ls) > 0 {
		c.context("decided", ours(strings.Join(ls, "\n")))
	}
}

func (c *card) outcome() {
	r := c.r
	if r.Outcome == "" {
		return
	}
	c.add(slack.NewSectionBlock(plain(r.Outcome, maxSection), nil, nil, slack.SectionBlockOptionBlockID(c.id("outcome"))))
	if !r.EndedAt.IsZero() {
		c.context("ended", ours("Ended "+date(r.EndedAt)))
	}
}

func (c *card) buttons() {
	r := c.r
	value := button(r.ID, r.Version)
	b := func(action, text string) *slack.ButtonBlockElement {
		e := slack.NewButtonBlockElement(action, value, plain(text, 75))
		e.AccessibilityLabel = clean(text+": "+r.ID+", "+r.Plan.Title, 75)
		return e
	}
	primary := func(e *slack.ButtonBlockElement) *slack.ButtonBlockElement {
		e.Style = slack.StylePrimary
		return e
	}
	var elements []slack.BlockElement
	switch r.State {
	case approval.Waiting:
		if readable(r) {
			if r.Confirms() {
				elements = append(elements, primary(b(ActionConfirm, "Confirm")))
			} else {
				elements = append(elements, primary(b(ActionApprove, "Approve")), b(ActionDeny, "Deny"))
			}
		}
		if len(r.Votes()) > 0 {
			elements = append(elements, b(ActionWithdraw, "Take Approval Back"))
		}
		elements = append(elements, b(ActionCancel, "Cancel Request"))
	case approval.Approved:
		elements = append(elements, b(ActionCancel, "Cancel Request"))
	case approval.Unknown:
		elements = append(elements, b(ActionRecheck, "Look Again"), b(ActionHappened, "It Happened"), b(ActionNotHappened, "It Did Not Happen"))
	case approval.Running, approval.Succeeded, approval.PartlySucceeded, approval.Failed,
		approval.Denied, approval.Cancelled, approval.Expired:
	}
	elements = append(elements, b(ActionDetails, "Details"))
	c.add(slack.NewActionBlock(c.id("actions"), elements...))
}

// cardText is the message for whoever does not see the blocks.
func cardText(r approval.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s · %s: %s", r.ID, r.State, escape(clean(r.Plan.Title, 200)))
	add := func(s string) { b.WriteString("\n" + s) }
	switch r.State {
	case approval.Waiting:
		if r.Notice != "" {
			add(escape(clean(r.Notice, 300)))
		}
		for i, s := range r.Plan.Steps {
			if i == cardSteps {
				add(fmt.Sprintf("… and %d more steps.", len(r.Plan.Steps)-i))
				break
			}
			add(escape(clean(s.Line, 200)))
			for n, ch := range s.Changes {
				if n == 3 {
					break
				}
				add(escape(clean(fmt.Sprintf("%s: %s → %s", ch.Property, orDash(ch.Before), orDash(ch.After)), 200)))
			}
		}
		if r.Confirms() {
			add("Asked by " + person(r.Caller.User) + ", who has to confirm.")
		} else {
			add("Asked by " + person(r.Caller.User) + ".")
			for i, d := range r.Demands {
				if i < 5 {
					add(fmt.Sprintf("%d of %d approvals for rule %s.", len(r.VotesFor(d.Rule)), d.Count, escape(clean(d.Rule, 100))))
				}
			}
		}
		if r.Reason != "" {
			add("Reason: " + escape(clean(r.Reason, 300)))
		}
	default:
		if r.Outcome != "" {
			add(escape(clean(r.Outcome, 500)))
		}
		for i, l := range stepLines(r, false) {
			if i == 12 {
				add("…")
				break
			}
			add(escape(clean(l, 200)))
		}
	}
	s := b.String()
	if rs := []rune(s); len(rs) > maxText {
		s = string(rs[:maxText-1]) + "…"
	}
	return s
}

// date shows a moment in the reader's own time zone.
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04 UTC"))
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

package approval

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/qlik-chatops/bot/internal/audit"
)

// SendStep stores the intent to send step i: from here on it may have taken
// effect. It must be on the disk before the first byte goes out.
func (r *Request) SendStep(i int, now time.Time) (Effects, error) {
	s, err := r.step(i, StepPlanned)
	if err != nil {
		return Effects{}, err
	}
	s.State = StepSending
	s.Sends++
	s.SentAt = now
	s.Answered, s.Absent, s.LookAt, s.Error = false, 0, time.Time{}, ""
	return Effects{Records: []audit.Entry{r.Entry(audit.EventSending, Identity{}, string(StepSending), r.Plan.Steps[i].Line)}}, nil
}

// AnswerStep keeps what Qlik answered to the write; it is still to be read back.
func (r *Request) AnswerStep(i int, result json.RawMessage, items []Item) error {
	s, err := r.step(i, StepSending)
	if err != nil {
		return err
	}
	s.Answered = true
	s.keep(result, items)
	return nil
}

// DoubtfulStep keeps what came with an answer that settles nothing; the step
// stays sent until it was read back.
func (r *Request) DoubtfulStep(i int, note string, result json.RawMessage, items []Item, now time.Time) (Effects, error) {
	s, err := r.step(i, StepSending)
	if err != nil {
		return Effects{}, err
	}
	s.keep(result, items)
	s.Note = note
	return Effects{Tasks: []Task{r.CardTask(now)}}, nil
}

// UnsendStep takes the intent back: what is still to be done certainly had no
// effect. result and items, if not nil, are what a reading showed as done.
func (r *Request) UnsendStep(i int, why string, result json.RawMessage, items []Item, now time.Time) (Effects, error) {
	s, err := r.step(i, StepSending, StepDoubt)
	if err != nil {
		return Effects{}, err
	}
	s.keep(result, items)
	s.State = StepPlanned
	s.Note = why
	return Effects{
		Records: []audit.Entry{r.Entry(audit.EventStep, Identity{}, "without effect", why)},
		Tasks:   []Task{r.CardTask(now)},
	}, nil
}

// AbsentStep notes one reading that found no effect of a doubtful write.
func (r *Request) AbsentStep(i int, now time.Time) error {
	s, err := r.step(i, StepSending, StepDoubt)
	if err != nil {
		return err
	}
	s.Absent++
	s.LookAt = now
	return nil
}

// EndStep closes step i in one of the states done, failed, skipped or doubt.
// say is why, for people; result and items replace the old ones if not nil.
func (r *Request) EndStep(i int, to StepState, say string, result json.RawMessage, items []Item, now time.Time) (Effects, error) {
	s, err := r.step(i, StepPlanned, StepSending, StepDoubt)
	if err != nil {
		return Effects{}, err
	}
	s.keep(result, items)
	s.State = to
	s.Error, s.Note = "", ""
	switch to {
	case StepDone, StepSkipped:
		s.Note = say
	case StepFailed, StepDoubt:
		s.Error = say
	case StepPlanned, StepSending:
		return Effects{}, fmt.Errorf("request %s: %s is no end of a step", r.ID, to)
	}
	detail := r.Plan.Steps[i].Line
	if say != "" {
		detail += ": " + say
	}
	e := Effects{
		Records: []audit.Entry{r.Entry(audit.EventStep, Identity{}, string(to), detail)},
		Tasks:   []Task{r.CardTask(now)},
	}
	for _, it := range s.Items {
		if it.State == ItemFailed || it.State == ItemPartly || it.State == ItemDoubt {
			e.Records = append(e.Records, r.Entry(audit.EventStep, Identity{}, string(it.State), it.Name+": "+it.Why))
		}
	}
	return e, nil
}

// GiveUpRest marks every step that was not begun as not done.
func (r *Request) GiveUpRest(why string) {
	for i := range r.Steps {
		if r.Steps[i].State == StepPlanned {
			r.Steps[i].State = StepSkipped
			r.Steps[i].Error = why
		}
	}
}

// Resume goes on with a request that was in doubt.
func (r *Request) Resume() {
	if r.State == Unknown {
		r.State, r.Outcome = Running, ""
	}
}

func (r *Request) step(i int, allowed ...StepState) (*StepRecord, error) {
	if r.State != Running && r.State != Unknown {
		return nil, fmt.Errorf("request %s is %s: its steps stand still", r.ID, r.State)
	}
	if i < 0 || i >= len(r.Steps) {
		return nil, fmt.Errorf("request %s has no step %d", r.ID, i)
	}
	s := &r.Steps[i]
	for _, a := range allowed {
		if s.State == a {
			return s, nil
		}
	}
	return nil, fmt.Errorf("request %s: step %d is %s", r.ID, i, s.State)
}

func (s *StepRecord) keep(result json.RawMessage, items []Item) {
	if result != nil {
		s.Result = result
	}
	if items != nil {
		s.Items = items
	}
}

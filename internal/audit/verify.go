package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
)

// BreakError names the first record at which a chain stops being one.
type BreakError struct {
	// Seq is the number that the record has, or should have had.
	Seq int64
	// Why is a sentence for people.
	Why string
}

func (e *BreakError) Error() string { return fmt.Sprintf("record %d: %s", e.Seq, e.Why) }

// Verify walks a chain from its beginning and gives back its head. A record
// that was changed, dropped or put elsewhere yields a *BreakError that names
// it. A tail that was cut off cannot be seen without a signed checkpoint, and
// Verify does not pretend to: the caller says so.
func Verify(records iter.Seq2[Record, error]) (Head, error) {
	var head Head
	for r, err := range records {
		if err != nil {
			return head, fmt.Errorf("read record %d: %w", head.Seq+1, err)
		}
		if r.Seq != head.Seq+1 {
			return head, &BreakError{Seq: head.Seq + 1, Why: fmt.Sprintf("is missing or out of order: record %d stands in its place", r.Seq)}
		}
		if r.Prev != head.Hash {
			return head, &BreakError{Seq: r.Seq, Why: "does not continue the record before it"}
		}
		sum, err := r.sum()
		if err != nil {
			return head, &BreakError{Seq: r.Seq, Why: "cannot be hashed: " + err.Error()}
		}
		if sum != r.Hash {
			return head, &BreakError{Seq: r.Seq, Why: "was changed after it was written"}
		}
		head = r.Head()
	}
	return head, nil
}

// Write puts records out as one JSON object a line, the form that
// `bot audit export` promises.
func Write(w io.Writer, records iter.Seq2[Record, error]) (int, error) {
	n := 0
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for r, err := range records {
		if err != nil {
			return n, fmt.Errorf("read record after %d: %w", n, err)
		}
		if err := enc.Encode(r); err != nil {
			return n, fmt.Errorf("write record %d: %w", r.Seq, err)
		}
		n++
	}
	return n, nil
}

package store_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
)

// benchBody is about what a slash command's envelope comes to.
var benchBody = json.RawMessage(fmt.Sprintf("{%q:%q}", "text", fmt.Sprintf("%01000d", 7)))

// BenchmarkFsync is the least that a stored acknowledgement can cost here: to
// compare BenchmarkAppendTask with.
func BenchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "bytes"))
	check(b, err)
	defer func() { check(b, f.Close()) }()
	for b.Loop() {
		_, err := f.Write(benchBody)
		check(b, err)
		check(b, f.Sync())
	}
}

// BenchmarkAppendTask is what stands between a slash command and its
// acknowledgement.
func BenchmarkAppendTask(b *testing.B) {
	d := open(b, sqliteEngine)
	for i := 0; b.Loop(); i++ {
		d.put(b, approval.Task{Key: fmt.Sprintf("slack:%d", i), Kind: "slack", Body: benchBody, Once: true, RunAt: time.Now()})
	}
}

// BenchmarkClaimAndFinish is what the queue adds to a piece of work.
func BenchmarkClaimAndFinish(b *testing.B) {
	d := open(b, sqliteEngine)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		d.put(b, approval.Task{Key: fmt.Sprintf("slack:%d", i), Kind: "slack", Body: benchBody, Once: true})
		b.StartTimer()
		d.finishes(b, d.claims(b))
	}
}

// BenchmarkChangeOneOf500Items is one step of a large invitation: one of 500
// items changes.
func BenchmarkChangeOneOf500Items(b *testing.B) {
	d := open(b, sqliteEngine)
	r := approval.Request{ID: "R-1", State: approval.Running, Steps: make([]approval.StepRecord, 500)}
	for i := range r.Steps {
		address := fmt.Sprintf("person-%d@example.com", i)
		r.Plan.Steps = append(r.Plan.Steps, approval.Step{
			Kind: "invite", Tenant: "prod", Object: address, Line: "Invite " + address + " to prod.",
			Params: json.RawMessage(fmt.Sprintf(`{"email":%q}`, address)),
		})
		r.Steps[i] = approval.StepRecord{
			State: approval.StepPlanned,
			Items: []approval.Item{{Name: address, State: approval.ItemDone}},
		}
	}
	check(b, d.CreateRequest(b.Context(), r, approval.Effects{}))
	for i := 0; b.Loop(); i++ {
		_, err := d.ChangeRequest(b.Context(), "R-1", func(r *approval.Request) (approval.Effects, error) {
			r.Steps[i%500].Sends++
			return approval.Effects{}, nil
		})
		check(b, err)
	}
}

// Package bot is the pipeline between Slack and Qlik, and the tour of the
// house. It owns every goroutine.
//
//	Slack ─▶ slackapp ─▶ intake ─▶ authz ─▶ plan ─▶ authz ─▶ approval ─▶ execution ─▶ Qlik
//	             ▲          │        who,     reads   for the   card,       each step:   │
//	             └── ack ───┘        where    only    targets   clicks      look, do,    │
//	              once stored                                               look again ◀─┘
//
// A command or a click that changes something is stored as a task before it
// is acknowledged (intake.go). A worker takes the task: it finds out who the
// person is, asks the policy, makes the plan, asks the policy again with what
// the plan would do, and puts it before those who must agree (ask.go). Clicks
// are judged the same way, each one anew (decide.go). What was approved is run
// by package execution, which has this package plan and judge it once more
// before the first write (judge.go). Cards and answers go out as tasks too
// (outbox.go), so that a restart or an outage of Slack loses none of them.
//
// Reads are answered without a row (read.go). The package refuses whatever it
// cannot find out: an unreachable Slack or Qlik means no, never yes. Every
// step it takes is written to the audit record in the same transaction as its
// effect; where that cannot be written, nothing happens.
package bot

// Package approval is the life of one request, from the plan that people are
// shown to its end.
//
// Its job is a pure state machine: given a request, a decision and the facts
// about who decides, it answers with the request's next state and with what
// must be written down and done because of it. It reads no clock, opens no
// file and knows neither Slack nor Qlik nor the policy language; times and
// facts are handed in, and the store that keeps requests is an interface
// declared here.
//
// It refuses every decision that it cannot place: one about an older version
// of the plan, one by somebody whose vote must not count, one about a request
// that has ended. Such a refusal is a *Refusal with a sentence for the person.
//
//	waiting ──▶ approved ──▶ running ──▶ succeeded | partly succeeded | failed | unknown
//	   │  ▲        │                       (unknown is settled later, by reading or by a person)
//	   │  └────────┘ when the plan has changed
//	   └──▶ denied | cancelled | expired
package approval

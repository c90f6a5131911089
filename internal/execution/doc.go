// Package execution runs approved plans durably.
//
// Its job is that an approved change takes effect once, whatever dies in
// between. The intent of a step is stored before its first byte is sent; an
// answer is judged once, as done, refused, certainly without effect, or in
// doubt; doubt is settled by reading, never by sending blindly; and the end of
// a request is told only after the change has been read back. It owns the
// workers that take due tasks from the queue, their leases and their retries.
//
// It refuses to write for a request that is not approved, whose plan has
// changed, whose policy has become stricter, or whose claim was lost. It knows
// neither Slack nor Qlik: what a step does is a Kind, and what is to be judged
// again before the first step is a Judge.
package execution

// Package qlik is the client of Qlik Cloud's REST API: one [Client] a tenant,
// one service a resource, one [Operation] a call. It gets the tenant's token,
// which x/oauth2 carries, caches and renews, keeps under the published rate
// limits, reads lists page by page, and turns whatever comes back into values
// and typed errors.
//
// Its promise to those who write is that no error leaves open whether Qlik may
// have acted: every error of a write is exactly one of [ErrNotSent],
// [ErrRefused], [ErrOutcomeUnknown] and [*PartialError], and [Outcome] says
// which. A write is sent once. Nothing here repeats one, except after a 401,
// which says that Qlik did not look at it.
//
// It refuses: to follow an address out of an answer to another host, to send
// its token anywhere but to the tenant, to write through a [Reader], to take an
// answer that it does not understand for "nothing there", to put typed text
// into a filter unquoted, and to show a secret, a token or the query of an
// address in an error, a log line or a formatted value. It knows nothing of
// Slack, people's permissions or plans, and verifies no write: reading back is
// for the caller who knows what to look for.
package qlik

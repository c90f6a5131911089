// Package slack is a Slack for one app on one machine: Web API, Socket Mode,
// response URLs and the people who type and click, written from Slack's
// documentation at docs.slack.dev.
//
// It exists so that a bot can be tested, and shown, against something that is
// as unforgiving as Slack: an envelope goes to any one of the connections and
// must be acknowledged on that one within 3 seconds, a trigger_id works once
// and for 3 seconds, a response_url works five times in 30 minutes, tickets
// open one connection, blocks are checked against the published limits, every
// method has its scope and its rate limit, and whoever leaves without a close
// frame stays registered as a ghost. What can go wrong at Slack can be made to
// go wrong here, by [Server.Fail] and the socket faults.
//
// It refuses: anything it does not know (methods, block types, properties,
// fields in a response_url body) instead of passing over it; to keep its state
// beyond the process; to talk to any network (it is an [net/http.Handler], and
// [Server.Client] reaches it over in-memory connections); and to share code
// with the bot or with a Slack client library, because a mistake made on both
// sides would hide itself.
//
// All clocks are time.Now and timers, so that the whole of it runs on the fake
// time of testing/synctest. Every goroutine ends with [Server.Close].
package slack

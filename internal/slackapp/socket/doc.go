// Package socket keeps Slack's Socket Mode connections and hands out what
// arrives on them.
//
// Slack does not send slash commands and button clicks twice, so a lost
// envelope is a lost approval. Everything here follows from that:
//
//   - Several connections are held at once. When Slack asks for one to be
//     replaced, the new one has said hello before the old one is closed, and
//     the old one delivers and takes acknowledgements meanwhile.
//   - An acknowledgement is written on the connection that delivered the
//     envelope, or on none, and [Envelope.Ack] says whether it was written.
//   - Connections are closed with a close frame. A connection that merely
//     vanishes can stay registered with Slack for hours as a ghost, and what
//     Slack sends to a ghost is lost.
//   - The reader of a connection never waits for a handler. Above the bound an
//     envelope is left unacknowledged, so that Slack tells the person that it
//     failed, which is true.
//   - New addresses are asked for at a bounded rate, whatever happens.
//
// What it refuses: it knows neither tokens nor the Web API (the address of a
// connection comes from [Config.Open]); it does not look into payloads; it
// does not notice that an envelope came twice (its ID tells the caller); it
// never acknowledges a well-formed envelope of a known type by itself; it
// connects to no host that [Config.Allow] does not allow; and it lets the
// address of a connection, whose ticket is a secret, into no log and no error.
package socket

// Package slackapp is the bot's front in Slack: the socket's dispatch, who is
// clicking, cards, forms, replies and App Home. It is the only package that
// imports slack-go.
//
// Its job is to turn envelopes into typed commands, clicks and forms for a
// Desk, and to show what the rest of the bot has to say. It refuses people
// who are not full, active members of the bot's own workspace; everything that it cannot find out about a person
// or a channel counts as a no. Text from people and from Qlik is only ever
// shown inert (inert.go).
package slackapp

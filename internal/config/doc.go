// Package config is the one reader of the bot's environment. [Read] turns the
// variables listed in docs/configuration.md into a [Config], once, at start,
// and reports every problem that it finds in one go.
//
// What it refuses:
//
//   - to guess: a misspelt SLACK_* or QLIK_* variable, a variable of a tenant
//     that nobody listed, or one for something that is not built yet is a
//     problem and not silence;
//   - to read a name that is not written in the manual: no prefix is ever
//     dropped, so a bare CLIENT_SECRET of some other program stays unread;
//   - to show a value: a [Problem] names variables, never what they hold, since
//     a token is easily pasted into the wrong one. Secrets are [Secret]s, which
//     print as a placeholder wherever they end up.
//
// It opens nothing but the files that variables name, and knows neither Slack
// nor Qlik nor the database: whether a token or an address works is found out
// by those who use it.
package config

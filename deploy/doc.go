// Package deploy holds what it takes to run the bot: the Slack app's manifest, an
// example of a policy and of the environment. It has no code; its tests hold the
// files to what the bot reads and asks for.
package deploy

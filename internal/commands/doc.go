// Package commands turns what people type into an answer or a plan.
//
// Its job is the language of section "what people type" of the product's
// interface: taking a line apart, finding the command in the catalogue,
// checking its arguments, and, with what the tenants and Slack say, making the
// plan of a change or the answer of a read. One file holds one command; the
// list in catalogue.go is the only place that names them all.
//
// It refuses to write anything: a plan is made with a reader of Qlik. It
// refuses to guess: of several people who match, none is taken; a word that is
// not understood, a keyword that does not apply, an argument that looks like
// another one ends with a sentence for the person. It decides nothing about
// permissions, and of Slack it knows only how mentions and links look in typed
// text. What it returns holds plain text, never markup.
package commands

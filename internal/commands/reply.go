package commands

import "github.com/qlik-chatops/bot/internal/approval"

// Reply is the answer to a read. All of its strings are plain text, some of
// them written by strangers; whoever shows it keeps them inert.
type Reply struct {
	Title    string    `json:"title,omitempty"`
	Lines    []string  `json:"lines,omitempty"`
	Sections []Section `json:"sections,omitempty"`
	// Request is a request whose current card is to be shown to the caller
	// alone, with the buttons that the caller may press.
	Request *approval.Request `json:"request,omitempty"`
}

// Section is a part of a reply. Any part of it may be empty.
type Section struct {
	Title string   `json:"title,omitempty"`
	Lines []string `json:"lines,omitempty"`
	Table *Table   `json:"table,omitempty"`
}

// Table is rows of cells; every row is as long as Head.
type Table struct {
	Head []string   `json:"head"`
	Rows [][]string `json:"rows"`
}

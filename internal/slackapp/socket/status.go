package socket

import (
	"cmp"
	"sync/atomic"
	"time"
)

// Reasons of Slack's disconnect messages, as counted in Counts.Disconnects.
// Any other is counted as ReasonOther.
const (
	// ReasonWarning: the connection ends in about ten seconds.
	ReasonWarning = "warning"
	// ReasonRefreshRequested: the connection has lived long enough.
	ReasonRefreshRequested = "refresh_requested"
	// ReasonLinkDisabled: somebody switched Socket Mode off.
	ReasonLinkDisabled = "link_disabled"
	// ReasonTooManyWebsockets: the app has its full number of connections. Slack
	// does not document it.
	ReasonTooManyWebsockets = "too_many_websockets"
	// ReasonOther is none of Slack's words.
	ReasonOther = "other"
)

// Ends of connections, as counted in Counts.Ends.
const (
	// EndClosedByUs: closed on purpose, with a close frame.
	EndClosedByUs = "closed_by_us"
	// EndClosedBySlack: Slack sent a close frame.
	EndClosedBySlack = "closed_by_slack"
	// EndDropped: the network connection broke without a close frame.
	EndDropped = "dropped"
	// EndSilent: nothing was heard for Timing.Silence.
	EndSilent = "silent"
	// EndServerQuiet: a server that used to ping had stopped doing so for
	// Timing.ServerQuiet, though it answered our pings.
	EndServerQuiet = "server_quiet"
	// EndTooLarge: a frame was larger than Config.MaxFrame.
	EndTooLarge = "frame_too_large"
	// EndNoHello: no hello came within Timing.Connect.
	EndNoHello = "no_hello"
)

// Status is the state of a [Loop] at one moment.
type Status struct {
	// Wanted is Config.Connections.
	Wanted int
	// Up is how many connections deliver and take acknowledgements, including
	// Leaving: those among them that Slack asked to be replaced.
	Up, Leaving int
	// Connecting is how many are being opened, waits for Slack's rate limit
	// included; back-offs are not.
	Connecting int
	// InFlight is how many calls of Config.Handle are under way.
	InFlight int
	// LastHello is when a connection last said hello; zero if none did.
	LastHello time.Time
	// NumConnections is how many connections Slack counted for the app at that
	// hello, over all processes and including ghosts.
	NumConnections int
	// Ghosts is by how many that exceeded what this process held.
	Ghosts int
	// Problem says in plain words why one of the wanted connections is not up,
	// or is empty.
	Problem string
	// Counts are since New.
	Counts Counts
}

// Counts counts events since New.
type Counts struct {
	// Opens is how often Config.Open was called, OpenFailures how often that or
	// the handshake or the hello failed, Hellos how many connections came up.
	Opens, OpenFailures, Hellos uint64
	// Disconnects counts Slack's disconnect messages by reason, Ends the ends of
	// connections by kind. Only the constants of this package occur as keys.
	Disconnects, Ends map[string]uint64
	// Envelopes is how many were given to Config.Handle.
	Envelopes uint64
	// Refused is how many were left unacknowledged because MaxInFlight handlers
	// were busy or the loop was ending, Late how many because we were closing
	// their connection; most of the latter are discarded unseen while the close
	// handshake is under way.
	Refused, Late uint64
	// Unparseable counts frames that are no message of Socket Mode, UnknownTypes
	// messages of types that are not handled. Both are acknowledged where they
	// carry an envelope_id.
	Unparseable, UnknownTypes uint64
	// AcksWritten and AcksFailed count acknowledgements by the outcome of
	// writing them.
	AcksWritten, AcksFailed uint64
	// Unacknowledged is how many calls of Config.Handle returned without an
	// acknowledgement, Panics how many of them panicked.
	Unacknowledged, Panics uint64
	// GhostHellos is how many hellos told of more connections than we held.
	GhostHellos uint64
}

// counters are the parts of Counts that are no maps.
type counters struct {
	opens, openFailures, hellos      atomic.Uint64
	envelopes, refused, late         atomic.Uint64
	unparseable, unknownTypes        atomic.Uint64
	acksWritten, acksFailed          atomic.Uint64
	unacknowledged, panics, ghostHel atomic.Uint64
}

// Status returns the state at this moment. It may be called at any time.
func (l *Loop) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Status{
		Wanted:         l.cfg.Connections,
		Connecting:     l.connecting,
		InFlight:       int(l.running.Load()),
		LastHello:      l.lastHello,
		NumConnections: l.numConnections,
		Ghosts:         l.ghosts,
		Problem:        cmp.Or(l.problems...),
		Counts: Counts{
			Opens: l.n.opens.Load(), OpenFailures: l.n.openFailures.Load(), Hellos: l.n.hellos.Load(),
			Disconnects: make(map[string]uint64, len(l.disconnects)),
			Ends:        make(map[string]uint64, len(l.ends)),
			Envelopes:   l.n.envelopes.Load(), Refused: l.n.refused.Load(), Late: l.n.late.Load(),
			Unparseable: l.n.unparseable.Load(), UnknownTypes: l.n.unknownTypes.Load(),
			AcksWritten: l.n.acksWritten.Load(), AcksFailed: l.n.acksFailed.Load(),
			Unacknowledged: l.n.unacknowledged.Load(), Panics: l.n.panics.Load(),
			GhostHellos: l.n.ghostHel.Load(),
		},
	}
	for k, v := range l.disconnects {
		s.Counts.Disconnects[k] = v
	}
	for k, v := range l.ends {
		s.Counts.Ends[k] = v
	}
	for c := range l.conns {
		up, leaving := c.serving()
		if up {
			s.Up++
		}
		if leaving {
			s.Leaving++
		}
	}
	return s
}

// Package steps is the closed set of writes that a plan can hold: how each is
// written down in a plan, how its object is looked at, how it is sent, and
// what its answer means.
//
// Its job is that planning and running speak of the same thing: the
// constructors make the steps whose parameters and before-state the kinds read
// again, after a restart and by a newer binary too. Each kind lives in one
// file; what an error of Qlik means for a step is told in classify.go.
//
// It refuses to send anything that a look has not found as planned, to take
// silence for success, and to repeat: that is the runner's business, which
// asks each kind how far it may. It never asks Qlik to send an invitation
// again. It knows nothing of Slack, of policies or of who agreed.
package steps

package playground

import "errors"

// Abandon ends the life of the bot as if its disk were taken from it at this
// moment: nothing that it still finds out can be stored any more. What it has
// sent stays sent. wait returns once the last of that life is over; the next
// life may begin before.
func (p *Playground) Abandon() (wait func(), err error) {
	p.mu.Lock()
	r := p.run
	p.run = nil
	p.mu.Unlock()
	if r == nil {
		return nil, errors.New("playground: the bot is not running")
	}
	err = r.db.Close()
	r.stop()
	return func() { <-r.done }, err
}

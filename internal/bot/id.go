package bot

import "crypto/rand"

// idLetters are easy to tell apart and spell no words.
const idLetters = "23456789BCDFGHJKMNPQRSTVWXZ"

// newID draws the ID of a request: R and six letters, some 387 million in all.
// The store refuses one that exists.
func newID() string {
	id := []byte("R......")
	var buf [1]byte
	for i := 1; i < len(id); {
		if _, err := rand.Read(buf[:]); err != nil {
			panic("the system has no random numbers: " + err.Error()) // crypto/rand never returns an error
		}
		// Bytes past the last whole multiple would favour the first letters.
		if n := int(buf[0]); n < 256-256%len(idLetters) {
			id[i] = idLetters[n%len(idLetters)]
			i++
		}
	}
	return string(id)
}

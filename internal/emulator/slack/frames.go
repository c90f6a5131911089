package slack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"sync"
)

// The WebSocket library gives whole messages. Whether a message came in one
// frame or in several is lost there, and it matters: Slack drops fragmented
// acknowledgements. So the bytes are watched on their way into the library.

// frameWatch is a net.Conn that notes, for each data message the client sends,
// in how many frames it came.
type frameWatch struct {
	net.Conn
	in io.Reader

	mu     sync.Mutex
	header []byte // the frame header so far
	skip   int64  // payload bytes still to pass
	frames int    // of the message in progress
	done   []int  // frames of each complete message, oldest first
}

func (w *frameWatch) Read(p []byte) (int, error) {
	n, err := w.in.Read(p)
	w.mu.Lock()
	w.watch(p[:n])
	w.mu.Unlock()
	return n, err
}

func (w *frameWatch) watch(p []byte) {
	for len(p) > 0 {
		if w.skip > 0 {
			n := min(w.skip, int64(len(p)))
			w.skip -= n
			p = p[n:]
			continue
		}
		w.header = append(w.header, p[0])
		p = p[1:]
		size, complete := frameSize(w.header)
		if !complete {
			continue
		}
		fin, opcode := w.header[0]&0x80 != 0, w.header[0]&0x0f
		w.header, w.skip = w.header[:0], size
		if opcode >= 8 { // close, ping, pong: may come between the frames of a message
			continue
		}
		w.frames++
		if fin {
			w.done = append(w.done, w.frames)
			w.frames = 0
		}
	}
}

// frameSize returns the payload size of a frame, once its header, mask
// included, is complete (RFC 6455, section 5.2).
func frameSize(h []byte) (size int64, complete bool) {
	if len(h) < 2 {
		return 0, false
	}
	need := 2
	size = int64(h[1] & 0x7f)
	switch size {
	case 126:
		need = 4
	case 127:
		need = 10
	}
	if h[1]&0x80 != 0 {
		need += 4
	}
	if len(h) < need {
		return 0, false
	}
	switch size {
	case 126:
		size = int64(binary.BigEndian.Uint16(h[2:4]))
	case 127:
		size = int64(binary.BigEndian.Uint64(h[2:10]) & (1<<63 - 1))
	}
	return size, true
}

// next is the number of frames of the oldest message not asked about yet.
func (w *frameWatch) next() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.done) == 0 {
		return 1
	}
	n := w.done[0]
	w.done = w.done[1:]
	return n
}

// watchedWriter hands out a frameWatch when its connection is hijacked.
type watchedWriter struct {
	http.ResponseWriter
	watch *frameWatch
}

// Hijack is part of http.Hijacker.
func (w *watchedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		return nil, nil, err
	}
	w.watch = &frameWatch{Conn: conn, in: io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn)}
	return w.watch, bufio.NewReadWriter(bufio.NewReader(w.watch), bufio.NewWriter(w.watch)), nil
}

package bgp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	wire "github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// patience is how long the last words of a session may take.
const patience = time.Second

// link carries messages over a connection. A goroutine of its own reads; it ends with finish.
type link struct {
	net.Conn
	reader *bufio.Reader
	in     chan received // closed after the first error
}

// received is a message, or why there are no more.
type received struct {
	message *wire.BGPMessage
	err     error
}

func newLink(c net.Conn) *link {
	l := &link{Conn: c, reader: bufio.NewReader(c), in: make(chan received)}
	go l.receive()
	return l
}

func (l *link) receive() {
	defer close(l.in)
	for {
		m, err := l.read()
		l.in <- received{m, err}
		if err != nil {
			return
		}
	}
}

// read returns the next message. The body of an UPDATE is skipped: no route of a router is taken,
// so nothing that a router sends costs memory.
func (l *link) read() (*wire.BGPMessage, error) {
	var raw [wire.BGP_HEADER_LENGTH]byte
	if _, err := io.ReadFull(l.reader, raw[:]); err != nil {
		return nil, err
	}
	h := &wire.BGPHeader{}
	if err := h.DecodeFromBytes(raw[:]); err != nil {
		return nil, err
	}
	if h.Len > wire.BGP_MAX_MESSAGE_LENGTH {
		return nil, wire.NewMessageError(wire.BGP_ERROR_MESSAGE_HEADER_ERROR, wire.BGP_ERROR_SUB_BAD_MESSAGE_LENGTH, raw[16:18], "message too long")
	}
	length := int(h.Len) - wire.BGP_HEADER_LENGTH
	if h.Type == wire.BGP_MSG_UPDATE {
		_, err := l.reader.Discard(length)
		return &wire.BGPMessage{Header: *h, Body: &wire.BGPUpdate{}}, err
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(l.reader, body); err != nil {
		return nil, err
	}
	return parse(h, body)
}

// parse decodes a message. A message that makes the decoder, which is not ours, panic ends the
// session of its router, and not the speaker.
func parse(h *wire.BGPHeader, body []byte) (m *wire.BGPMessage, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = wire.NewMessageError(wire.BGP_ERROR_MESSAGE_HEADER_ERROR, 0, nil, fmt.Sprintf("it cannot be decoded: %v", r))
		}
	}()
	return wire.ParseBGPBody(h, body)
}

// write sends messages in one piece, within the time.
func (l *link) write(within time.Duration, options *wire.MarshallingOption, messages ...*wire.BGPMessage) error {
	var all []byte
	for _, m := range messages {
		b, err := m.Serialize(options)
		if err != nil {
			return fmt.Errorf("encode a message: %w", err)
		}
		all = append(all, b...)
	}
	if len(all) == 0 {
		return nil
	}
	if err := l.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	_, err := l.Write(all)
	return err
}

// finish sends a NOTIFICATION, if there is one, and ends the connection. It waits until the router
// has ended it too, for a second at most: otherwise what the router sent last would turn into a
// reset that overtakes our last words.
func (l *link) finish(n *wire.BGPNotification) {
	if n != nil {
		// A router that is gone cannot be told.
		_ = l.write(patience, nil, wire.NewBGPNotificationMessage(n.ErrorCode, n.ErrorSubcode, n.Data))
	}
	_ = l.SetReadDeadline(time.Now().Add(patience))
	if c, ok := l.Conn.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
		_ = l.Close()
	}
	for range l.in { // until the reader ends
	}
	_ = l.Close()
}

// broken is the NOTIFICATION that answers a message with a mistake, nil if the error is of another
// kind.
func broken(err error) *wire.BGPNotification {
	m, ok := errors.AsType[*wire.MessageError](err)
	if !ok {
		return nil
	}
	return &wire.BGPNotification{ErrorCode: m.TypeCode, ErrorSubcode: m.SubTypeCode, Data: m.Data}
}

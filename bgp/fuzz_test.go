package bgp

import (
	"net"
	"testing"

	wire "github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/starling-lb/starling/routes"
)

// FuzzRouter has a router say anything at all: the speaker reads it, or says what is wrong.
func FuzzRouter(f *testing.F) {
	for _, m := range []*wire.BGPMessage{
		open(64512, 90, both(true)...), wire.NewTestBGPOpenMessage(), wire.NewBGPKeepAliveMessage(), wire.NewTestBGPUpdateMessage(),
		wire.NewBGPNotificationMessage(6, 2, []byte("\x05hello")), wire.NewBGPRouteRefreshMessage(1, 0, 1),
	} {
		b, err := m.Serialize()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	p := peering{ASN: 64513, RouterID: id("192.0.2.11"), router: tor()}
	f.Fuzz(func(_ *testing.T, b []byte) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Write(b)
			_ = theirs.Close()
		}()
		l := newLink(ours)
		for r := range l.in {
			if r.err != nil {
				_ = lost(r.err, "").Error()
				continue
			}
			switch body := r.message.Body.(type) {
			case *wire.BGPOpen:
				_, _ = p.answer(body)
			case *wire.BGPNotification:
				_ = notified(body, p).Error()
			}
		}
		_ = ours.Close()
		_ = theirs.Close()
	})
}

// A message that makes the decoder panic is a mistake of the router.
func TestDecoderPanics(t *testing.T) {
	t.Parallel()
	_, err := parse(nil, nil)
	if n := broken(err); n == nil || words(n) != "message header error" {
		t.Errorf("error %v, notification %v", err, n)
	}
	if f := lost(err, ""); f.cause != routes.Rejected {
		t.Errorf("cause %q: %s", f.cause, f.text)
	}
}

package mesh

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/peers"
)

// TestMessageCode: it is a protocol between releases.
func TestMessageCode(t *testing.T) {
	if got := string(encodeDirect(peers.Message{About: "n3", By: "n1"}, order{0x0102, 3})); got != "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03n1\x00n3" {
		t.Errorf("encoded as %q", got)
	}
	tested := peers.Message{Kind: peers.Drops, About: "n3", By: "n1", At: netip.MustParseAddrPort("198.18.64.1:80"), Other: "n2"}
	if got := string(encodeDirect(tested, order{0x0102, 3})[11:]); got != "n1\x00n3\x00\x01n2\x00\xc6\x12\x40\x01\x50\x00" {
		t.Errorf("encoded as %q", got)
	}
	for _, m := range []peers.Message{
		tested,
		{Kind: peers.Forwards, About: "n3", By: "n1"},
		{Kind: peers.Drops, About: "n3", By: "n1", At: netip.MustParseAddrPort("[2001:db8::1]:443"), Other: "n2"},
		{Kind: peers.Drops, About: "n3", By: "n1", At: netip.MustParseAddrPort("198.18.0.3:10256")},
		{Kind: peers.Drops, About: "n3", By: "n1"},
	} {
		if got, _, ok := decodeDirect(encodeDirect(m, order{1, 2})[1:]); !ok || got != m {
			t.Errorf("%+v becomes %+v, %v", m, got, ok)
		}
	}
	for _, tt := range []struct {
		content, by, about string
		ok                 bool
	}{
		{"n1\x00n2", "n1", "n2", true},
		{"n1\x00n1", "n1", "n1", true},
		{"", "", "", false},
		{"n1", "n1", "", false},
		{"n1\x00", "n1", "", false},
		{"\x00n2", "", "n2", false},
		{"n1\x00n2\x00", "n1", "n2", false},
		{"n1\x00n2\x00\x01n3", "n1", "n2", false},
		{"n1\x00n2\x00\x01n3\x00abc", "n1", "n2", false},
		{"n1\x00n2\x00\x00n3\x00abcdef", "n1", "n2", false},
		{"n1\x00n2\x00\x03n3\x00abcdef", "n1", "n2", false},
	} {
		if m, o, ok := decodeDirect(append(order{9, 8}.bytes(), tt.content...)); o != (order{9, 8}) || m.By != tt.by || m.About != tt.about || ok != tt.ok {
			t.Errorf("%q: %+v, %v", tt.content, m, ok)
		}
	}
}

// TestReplayWindow: messages may come in any order, each counts once, and those of an earlier
// process do not.
func TestReplayWindow(t *testing.T) {
	tab := newTable("n1", addrNo(1), nil, time.UnixMilli(5000))
	tab.alive("n2", addrNo(2), ordered(Meta{}.encode(), order{7, 1}), time.UnixMilli(5000))
	for _, x := range []struct {
		o   order
		new bool
	}{
		{order{7, 2}, true},
		{order{7, 1}, true},
		{order{7, 2}, false},
		{order{7, 1}, false},
		{order{7, 70}, true},
		{order{7, 7}, true},
		{order{7, 6}, false},
		{order{6, 99}, false},
		{order{8, 1}, true},
		{order{7, 71}, false},
		{order{8, 100}, true},
		{order{8, 99}, true},
		{order{8, 99}, false},
	} {
		if got := tab.fresh("n2", x.o); got != x.new {
			t.Errorf("%v is new: %v", x.o, got)
		}
	}
}

// TestSend: every other member gets each message once and is woken by it; nobody is dead because of
// one.
func TestSend(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(4)
		select {
		case <-nodes[2].Changed():
		default:
		}
		want := []peers.Message{{About: "n2", By: "n1"}, {About: "n1", By: "n1"}}
		nodes[0].Send(want[:1])
		nodes[0].Send(want[1:])
		time.Sleep(20 * time.Millisecond)
		select {
		case <-nodes[2].Changed():
		default:
			t.Error("nothing tells of the messages")
		}
		for i, n := range nodes {
			got := n.Messages()
			slices.SortFunc(got, func(a, b peers.Message) int { return strings.Compare(b.About, a.About) })
			if i == 0 {
				if len(got) != 0 {
					t.Errorf("the sender hears itself: %v", got)
				}
				continue
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(peers.Message{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", n.cfg.Name, diff)
			}
			if again := n.Messages(); len(again) != 0 {
				t.Errorf("%s hears twice: %v", n.cfg.Name, again)
			}
		}
		if got := nodes[2].state("n2"); got != Alive {
			t.Errorf("a message alone made n2 %s", got)
		}
	})
}

// TestMessagesAreBounded: the newest are kept.
func TestMessagesAreBounded(t *testing.T) {
	var q messages
	for i := range maxInbox + 10 {
		q.received(peers.Message{About: fmt.Sprint(i), By: "n2"})
	}
	got := q.take(&q.in)
	if len(got) != maxInbox || got[0].About != "10" {
		t.Errorf("%d messages, the first about %s", len(got), got[0].About)
	}
}

// TestOwnMessageIsNoNews: what comes back, or is garbage, is dropped.
func TestOwnMessageIsNoNews(t *testing.T) {
	m, err := New(Config{Name: "n1", Bind: addrNo(1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"n1\x00n3", "n2", "", "\x00n3"} {
		m.direct([]byte(content))
		m.direct(append(order{1, 1}.bytes(), content...))
	}
	if got := m.Messages(); len(got) != 0 {
		t.Errorf("messages %v", got)
	}
}

func FuzzDecodeDirect(f *testing.F) {
	f.Add([]byte("n1\x00n2"))
	f.Add(encodeDirect(peers.Message{Kind: peers.Drops, By: "n1", About: "n2", At: netip.MustParseAddrPort("198.18.64.1:80"), Other: "n3"}, order{1, 2})[1:])
	f.Add(encodeDirect(peers.Message{By: "n1", About: "n2"}, order{1, 2})[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		m, o, ok := decodeDirect(b)
		if !ok {
			return
		}
		if again, p, ok := decodeDirect(encodeDirect(m, o)[1:]); !ok || again != m || p != o {
			t.Errorf("%+v %+v becomes %+v %+v", m, o, again, p)
		}
	})
}

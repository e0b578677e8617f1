package mesh

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/starling-lb/starling/peers"
)

// TestSaidAgain: what a member said before counts once, and what its earlier process said not at
// all, however often it is sent again; each time is counted.
func TestSaidAgain(t *testing.T) {
	message := func(by string, o order) []byte { return encodeDirect(peers.Message{By: by, About: "n3"}, o) }
	drains := encodeUrgent("n2", ordered(Meta{Draining: true}.encode(), order{4, 9}))
	for name, tt := range map[string]struct {
		messages [][]byte
		new      int
		old      float64
	}{
		"a message":                       {[][]byte{message("n2", order{5, 1})}, 1, 0},
		"the same again":                  {[][]byte{message("n2", order{5, 1}), message("n2", order{5, 1}), message("n2", order{5, 1})}, 1, 2},
		"two, and the first again":        {[][]byte{message("n2", order{5, 1}), message("n2", order{5, 2}), message("n2", order{5, 1})}, 2, 1},
		"of an earlier process":           {[][]byte{message("n2", order{4, 9})}, 0, 1},
		"of a process not known yet":      {[][]byte{message("n2", order{6, 1}), message("n2", order{5, 2})}, 1, 1},
		"of another member":               {[][]byte{message("n2", order{5, 1}), message("n4", order{5, 1})}, 2, 0},
		"draining, of an earlier process": {[][]byte{drains, drains}, 0, 2},
		"goodbye of an earlier process":   {[][]byte{goodbye("n2", order{4, 9}), goodbye("n2", order{4, 9})}, 0, 2},
		"goodbye":                         {[][]byte{goodbye("n2", order{5, 3})}, 0, 0},
		"goodbye without order":           {[][]byte{append([]byte{messageGoodbye}, "n2"...)}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := New(Config{Name: "n1", Bind: addrNo(1)})
			if err != nil {
				t.Fatal(err)
			}
			says := ordered(Meta{Ready: true}.encode(), order{5, 3})
			m.table.alive("n2", addrNo(2), says, time.Now())
			for _, b := range tt.messages {
				(delegate{m}).NotifyMsg(b)
			}
			if got := len(m.Messages()); got != tt.new {
				t.Errorf("%d messages, want %d", got, tt.new)
			}
			if got := testutil.ToFloat64(m.metrics.rejected.WithLabelValues("old")); got != tt.old {
				t.Errorf("%v old, want %v", got, tt.old)
			}
			if got := m.Members()[1].Meta; !got.Ready || got.Draining {
				t.Errorf("n2 says %+v", got)
			}
			state, _ := m.table.gone("n2", time.Now())
			if left := name == "goodbye"; left != (state == Left) {
				t.Errorf("n2 is %s", state)
			}
		})
	}
}

// TestMessagesAreInOrder: those of one process are newer each, and those of the next one too.
func TestMessagesAreInOrder(t *testing.T) {
	tab := newTable("n1", addrNo(1), Meta{}.encode(), time.UnixMilli(5000))
	got := []order{tab.nextMessage(), tab.nextMessage()}
	tab.outlive(ordered(Meta{}.encode(), order{9000, 1}))
	got = append(got, tab.nextMessage())
	if diff := cmp.Diff([]order{{5000, 1}, {5000, 2}, {9001, 3}}, got, cmp.AllowUnexported(order{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzDirect gives any direct message to a member that knows another one: it brings at most one
// message, and changes nothing about itself or about who is there.
func FuzzDirect(f *testing.F) {
	says := ordered(Meta{Ready: true}.encode(), order{5, 3})
	f.Add(encodeDirect(peers.Message{By: "n2", About: "n3"}, order{5, 4}))
	f.Add(encodeUrgent("n2", ordered(Meta{Draining: true}.encode(), order{5, 4})))
	f.Add(encodeUrgent("n1", ordered(Meta{Draining: true}.encode(), order{9, 4})))
	f.Add(goodbye("n2", order{5, 4}))
	f.Add(goodbye("n9", order{}))
	f.Add([]byte{messageGoodbye})
	f.Add([]byte{9, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := New(Config{Name: "n1", Bind: addrNo(1)})
		if err != nil {
			t.Fatal(err)
		}
		m.table.alive("n2", addrNo(2), says, time.Now())
		self := m.Members()[0]
		delegate{m}.NotifyMsg(b)
		delegate{m}.NotifyMsg(b)
		if got := m.Messages(); len(got) > 1 && got[0].By == "n2" {
			t.Errorf("%q: %d messages of n2 from one", b, len(got))
		}
		got := m.Members()
		if diff := cmp.Diff(self, got[0], cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
			t.Errorf("%q changed this member (-want +got):\n%s", b, diff)
		}
		if len(got) != 2 || got[1].Name != "n2" || got[1].State != Alive {
			t.Errorf("%q: members are %+v", b, got)
		}
	})
}

package mesh

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAlarms(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	type word struct {
		ms        int
		about, by string
		news      bool
	}
	for _, tt := range []struct {
		name  string
		words []word
		look  int
		want  []Alarm
	}{
		{"nothing", nil, 0, nil},
		{"one", []word{{0, "n1", "n2", true}}, 1, []Alarm{{"n1", "n2", at(0)}}},
		{"the same again", []word{{0, "n1", "n2", true}, {600, "n1", "n2", false}}, 1500, []Alarm{{"n1", "n2", at(600)}}},
		{"forgotten", []word{{0, "n1", "n2", true}}, 1000, nil},
		{"again after it was forgotten", []word{{0, "n1", "n2", true}, {1000, "n1", "n2", true}}, 1000, []Alarm{{"n1", "n2", at(1000)}}},
		{"sorted", []word{{0, "n3", "n1", true}, {1, "n2", "n4", true}, {2, "n2", "n3", true}}, 3, []Alarm{{"n2", "n3", at(2)}, {"n2", "n4", at(1)}, {"n3", "n1", at(0)}}},
		{"objection", []word{{0, "n1", "n2", true}, {0, "n1", "n3", true}, {1, "n4", "n2", true}, {2, "n1", "n1", true}}, 3, []Alarm{{"n1", "n1", at(2)}, {"n4", "n2", at(1)}}},
		{"objection again", []word{{0, "n1", "n1", true}, {1, "n1", "n1", true}}, 3, []Alarm{{"n1", "n1", at(1)}}},
		{"accused after the objection", []word{{0, "n1", "n1", true}, {1, "n1", "n2", true}}, 3, []Alarm{{"n1", "n1", at(0)}, {"n1", "n2", at(1)}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAlarms()
			for _, w := range tt.words {
				if got := a.hear(w.about, w.by, at(w.ms)); got != w.news {
					t.Errorf("%+v: news %v", w, got)
				}
			}
			if diff := cmp.Diff(tt.want, a.list(at(tt.look))); diff != "" {
				t.Errorf("alarms (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAlarmMessages(t *testing.T) {
	a := newAlarms()
	a.tell(false, "n3", "n2")
	a.tell(true)
	a.tell(false, "n2")
	want := []string{"\x02n1\x00n2", "\x02n1\x00n3", "\x02n1\x00n1"}
	var got []string
	for _, b := range a.take("n1") {
		got = append(got, string(b))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages, a protocol between releases (-want +got):\n%s", diff)
	}
	if again := a.take("n1"); len(again) > 0 {
		t.Errorf("told twice: %q", again)
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
	} {
		if by, about, ok := decodeAlarm([]byte(tt.content)); by != tt.by || about != tt.about || ok != tt.ok {
			t.Errorf("%q: by %q about %q, %v", tt.content, by, about, ok)
		}
	}
}

// said are the words of a member's alarms, without their times.
func (n *node) said() string {
	var out []string
	for _, a := range n.Alarms() {
		out = append(out, a.By+" of "+a.About)
	}
	return strings.Join(out, ", ")
}

// TestAccuse: everybody hears an accusation, and the objection of one that is
// alive ends it everywhere; one that is cut off cannot object.
func TestAccuse(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(4)
		nodes[0].Accuse("n2")
		w.within(20*time.Millisecond, "the objection is heard", func() bool {
			return nodes[0].said() == "n2 of n2" && nodes[2].said() == "n2 of n2" && nodes[3].said() == "n2 of n2"
		})
		time.Sleep(alarmTime)
		w.kill("n2")
		select {
		case <-nodes[2].Changed():
		default:
		}
		nodes[0].Accuse("n2")
		nodes[3].Accuse("n2")
		w.within(20*time.Millisecond, "both alarms are heard", func() bool {
			return nodes[2].said() == "n1 of n2, n4 of n2" && nodes[0].said() == "n4 of n2" && nodes[3].said() == "n1 of n2"
		})
		select {
		case <-nodes[2].Changed():
		default:
			t.Error("nothing tells of the alarm")
		}
		if got := nodes[2].state("n2"); got != Alive {
			t.Errorf("an alarm alone made n2 %s", got)
		}
		time.Sleep(alarmTime)
		if got := nodes[2].said(); got != "" {
			t.Errorf("after a second: %s", got)
		}
	})
}

// TestAlarmIsOverOnReturn: a member that gossip brings back is not accused.
func TestAlarmIsOverOnReturn(t *testing.T) {
	m, err := New(Config{Name: "n1", Bind: addrNo(1)})
	if err != nil {
		t.Fatal(err)
	}
	m.table.alive("n2", addrNo(2), nil, time.Now())
	m.table.alive("n3", addrNo(3), nil, time.Now())
	for _, content := range []string{"n2\x00n3", "n2\x00n9", "n9\x00n3", "n1\x00n3", "n2"} {
		m.alarm([]byte(content))
	}
	if got := (&node{Mesh: m}).said(); got != "n2 of n3" {
		t.Errorf("alarms %q, want that of a member about a member only", got)
	}
	m.table.gone("n3", time.Now())
	hooks{m}.NotifyJoin(testNode(3, Meta{}))
	if got := (&node{Mesh: m}).said(); got != "" {
		t.Errorf("after the return: %q", got)
	}
}

// FuzzDecodeAlarm: whatever arrives is refused, or says the same when it is written again.
func FuzzDecodeAlarm(f *testing.F) {
	f.Add(encodeAlarm("n1", "n2")[1:])
	f.Add([]byte{0})
	f.Add([]byte("n1"))
	f.Fuzz(func(t *testing.T, content []byte) {
		by, about, ok := decodeAlarm(content)
		if !ok {
			return
		}
		if again := encodeAlarm(by, about)[1:]; !slices.Equal(again, content) || by == "" || about == "" {
			t.Errorf("%q is read as of %q about %q", content, by, about)
		}
	})
}

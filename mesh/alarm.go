package mesh

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Alarm is the word of one member about another: it does not answer on the
// wire any more. Where both are the same it is the objection of a member that
// was accused: it is alive. An objection is made by the mesh itself, at once,
// and ends all alarms before it.
//
// Alarms make nobody dead; what they are worth is for the reader to judge. They
// go to every member directly, once, and may be lost, so who goes on believing
// in one raises it again.
type Alarm struct {
	About, By string
	At        time.Time // When it was heard.
}

// alarmTime is for how long an alarm is remembered after it was last heard.
const alarmTime = time.Second

// alarms are those heard of late, and those to be told.
type alarms struct {
	mu     sync.Mutex             // Guards all following fields.
	heard  map[alarmKey]time.Time // When last.
	accuse map[string]struct{}    // Members that the others are to be told of.
	object bool                   // This member was accused.
}

type alarmKey struct{ about, by string }

func newAlarms() *alarms {
	return &alarms{heard: map[alarmKey]time.Time{}, accuse: map[string]struct{}{}}
}

// hear notes an alarm, and returns whether it is news.
func (a *alarms) hear(about, by string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if about == by {
		a.end(about)
	}
	k := alarmKey{about, by}
	last, known := a.heard[k]
	a.heard[k] = now
	return !known || about == by || now.Sub(last) >= alarmTime
}

// over ends the alarms about a member.
func (a *alarms) over(about string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end(about)
}

// end is over with the lock held.
func (a *alarms) end(about string) {
	maps.DeleteFunc(a.heard, func(k alarmKey, _ time.Time) bool { return k.about == about })
}

// list returns what was heard within alarmTime, sorted, and forgets the rest.
func (a *alarms) list(now time.Time) []Alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Alarm
	for k, at := range a.heard {
		if now.Sub(at) >= alarmTime {
			delete(a.heard, k)
			continue
		}
		out = append(out, Alarm{About: k.about, By: k.by, At: at})
	}
	slices.SortFunc(out, func(x, y Alarm) int { return cmp.Or(cmp.Compare(x.About, y.About), cmp.Compare(x.By, y.By)) })
	return out
}

// tell notes what the others are to be told.
func (a *alarms) tell(object bool, accused ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.object = a.object || object
	for _, name := range accused {
		a.accuse[name] = struct{}{}
	}
}

// take returns the messages that are due, of the member self.
func (a *alarms) take(self string) (out [][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(a.accuse)) {
		out = append(out, encodeAlarm(self, name))
	}
	if a.object {
		out = append(out, encodeAlarm(self, self))
	}
	clear(a.accuse)
	a.object = false
	return out
}

// encodeAlarm is messageAlarm, the name of the sender, a zero byte and the name
// of the member that it is about.
func encodeAlarm(by, about string) []byte {
	return slices.Concat([]byte{messageAlarm}, []byte(by), []byte{0}, []byte(about))
}

func decodeAlarm(b []byte) (by, about string, ok bool) {
	x, y, ok := bytes.Cut(b, []byte{0})
	return string(x), string(y), ok && len(x) > 0 && len(y) > 0
}

// Accuse tells all other members, the accused included, that members do not
// answer on the wire. It does not wait until that is done.
func (m *Mesh) Accuse(names ...string) {
	m.alarms.tell(false, names...)
	poke(m.alarmed)
}

// Alarms returns what other members said within the last second, sorted; also
// what they said of this member.
func (m *Mesh) Alarms() []Alarm { return m.alarms.list(time.Now()) }

// alarm takes a message of another member. It is called by memberlist's receive
// loop.
func (m *Mesh) alarm(content []byte) {
	by, about, ok := decodeAlarm(content)
	if !ok || by == m.cfg.Name || !m.table.known(by) || !m.table.known(about) {
		return
	}
	if about == m.cfg.Name {
		m.alarms.tell(true)
		poke(m.alarmed)
	}
	if m.alarms.hear(about, by, time.Now()) {
		m.signal()
	}
}

// spread sends the messages that are due to all others that are alive.
func (m *Mesh) spread(list *memberlist.Memberlist) {
	words := m.alarms.take(m.cfg.Name)
	if len(words) == 0 {
		return
	}
	for addr, name := range m.table.company().others {
		for _, w := range words {
			// Best effort: see Alarm.
			_ = list.SendToAddress(memberlist.Address{Addr: addr.String(), Name: name}, w)
		}
	}
}

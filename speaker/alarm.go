package speaker

import (
	"slices"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
)

// alarm is one that this node raises.
type alarm struct {
	since, next time.Time
	times       int
	over        bool // the accused objected: it is alive, and this node does not hear it
}

// words are what other members said within the last second.
type words struct {
	alarms   map[string]int       // how many others accuse a member
	accused  map[string]time.Time // when one of them last did
	objected map[string]time.Time // when a member last said that it is alive
}

func wordsOf(said []mesh.Alarm) words {
	r := words{alarms: map[string]int{}, accused: map[string]time.Time{}, objected: map[string]time.Time{}}
	for _, a := range said {
		if a.About == a.By {
			r.objected[a.About] = a.At
			continue
		}
		r.alarms[a.About]++
		if a.At.After(r.accused[a.About]) {
			r.accused[a.About] = a.At
		}
	}
	return r
}

// givenUp tells what own questions and the alarms of others are worth: near says
// whether the accused has a network in common with this node, and fellows how
// many others than the accused have, this node included.
func givenUp(own testimony, near bool, alarms, fellows int) bool {
	if !near {
		return alarms >= 2
	}
	return own == silent && alarms+1 >= min(2, fellows)
}

// keepWatch asks the wards, raises alarms, judges those of others, and takes the
// members that are given up out of the electorate.
func (s *Speaker) keepWatch(w *world) {
	if s.cfg.Pace <= 0 {
		return
	}
	v := &s.vigil
	v.choose(w.gossip, s.cfg.Node, segments(w.wire))
	said := wordsOf(s.cfg.Alarms.Alarms())
	if last := said.accused[s.cfg.Node]; last.Sub(v.accused) >= accusedAnew {
		v.accused = last
		s.heals++ // neighbours may have been told otherwise meanwhile
		s.log.Info().Msg("others do not hear this node on the wire")
	}
	for i, m := range w.members {
		switch {
		case m.Name == s.cfg.Node:
		case m.State != mesh.Alive:
			delete(v.raised, m.Name)
			delete(v.lost, m.Name)
		default:
			s.ask(w, m)
			s.raise(w, m.Name, said.objected[m.Name])
			if s.lose(w, m, said) {
				w.members[i].State, w.members[i].Since = mesh.Dead, v.lost[m.Name]
			}
		}
	}
}

// ask the kernel of a ward; its speaker first where it is not known by which
// address.
func (s *Speaker) ask(w *world, m mesh.Member) {
	if !slices.Contains(s.vigil.wards, m.Name) {
		delete(s.vigil.asked, m.Name)
		return
	}
	host := hostQuestions(m, w.wire, s.vigil.own)
	s.vigil.asked[m.Name] = host
	if len(host) == 0 {
		host = speakerQuestions(m)
	}
	w.ask = append(w.ask, host...)
}

// raise the alarm about a ward whose kernel answered once and does not any more.
func (s *Speaker) raise(w *world, name string, objected time.Time) {
	v := &s.vigil
	if hear(w.wire, answeredOnce(w.wire, v.asked[name])) != silent {
		delete(v.raised, name)
		return
	}
	a := v.raised[name]
	if a == nil {
		a = &alarm{since: w.now, next: w.now}
		v.raised[name] = a
		s.metrics.alarms.Inc()
		s.log.Info().Str("node", name).Msg("silent on the wire")
	}
	a.over = a.over || !objected.Before(a.since)
	if !w.now.Before(a.next) && !a.over && a.times < alarmTimes {
		s.cfg.Alarms.Accuse(name)
		a.next = w.now.Add(alarmPause << a.times)
		a.times++
	}
	if w.now.Before(a.next) {
		w.due = earlier(a.next, w.due)
	}
}

// lose judges a member about which there is an alarm, and tells whether it is
// given up.
func (s *Speaker) lose(w *world, m mesh.Member, said words) bool {
	v := &s.vigil
	a, since := v.raised[m.Name], v.lost[m.Name]
	if (a == nil || a.over) && said.alarms[m.Name] == 0 && since.IsZero() {
		return false
	}
	var questions []arpd.Question
	near := share(m.Meta.Segments, v.own) && len(m.Meta.MACs) > 0
	if near {
		questions = append(hostQuestions(m, w.wire, v.own), speakerQuestions(m)...)
		w.ask = append(w.ask, questions...)
	}
	heard := hear(w.wire, questions)
	if a != nil && heard == present {
		a.over = true // its kernel answers nobody any more, its speaker does
	}
	switch {
	case since.IsZero() && !givenUp(heard, near, said.alarms[m.Name], fellows(w.gossip, m)):
		return false
	case since.IsZero():
		v.lost[m.Name] = w.now
		s.metrics.givenUp.Inc()
		s.log.Info().Str("node", m.Name).Msg("given up: silent on the wire, as others say too")
	case heard == present || !said.objected[m.Name].Before(since) || w.now.Sub(since) >= gossipMost:
		delete(v.lost, m.Name)
		if a != nil {
			a.over = true
		}
		s.log.Info().Str("node", m.Name).Msg("not given up any more")
		return false
	}
	w.due = earlier(v.lost[m.Name].Add(gossipMost), w.due)
	return true
}

// fellows counts the members that have a network in common with m.
func fellows(members []mesh.Member, m mesh.Member) int {
	n := 0
	for _, o := range members {
		if o.Name != m.Name && o.State == mesh.Alive && share(o.Meta.Segments, m.Meta.Segments) {
			n++
		}
	}
	return n
}

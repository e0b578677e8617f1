package mesh

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// memberlist 0.7 reports what it finds about peers to its logger only.
// These are the words that we look for; tests with the real library hold
// them, so that a release with other words is noticed.
const (
	saysNoKey      = "no installed keys could decrypt the message"
	saysDecrypt    = "Decrypt packet failed"
	saysPlain      = "encryption is configured but remote state is not encrypted"
	saysCipher     = "remote state is encrypted and encryption is not configured"
	saysNoLabel    = `with unacceptable label ""`
	saysOtherLabel = "with unacceptable label "
	saysTCPBegin   = "Was able to connect to "
	saysTCPEnd     = " over TCP but UDP probes failed"
	saysFrom       = "from="
	saysFallback   = "Failed fallback TCP ping"
	saysIgnores    = "ignoring alive message for "
)

// libraryLog turns memberlist's log into ours. A line that tells of a peer's
// condition is counted and remembered, and logged once when the condition begins
// (see Mesh.see); of other warnings and errors only a few per minute are
// passed on, because anybody who reaches the port can cause them.
//
// memberlist's INFO lines become debug lines: they tell of suspicions, and of
// changes that the mesh logs itself. So does its error that a probe repeated by
// TCP failed as well, which is how the end of every silent member begins, and that
// a member without a Node was refused, which is counted elsewhere.
type libraryLog struct {
	see   func(condition)
	queue *logQueue
	now   func() time.Time

	mu    sync.Mutex // Guards limit.
	limit limiter
}

func newLibraryLog(see func(condition), j *logQueue) *libraryLog {
	return &libraryLog{see: see, queue: j, now: time.Now, limit: newLimiter(10, 6*time.Second)}
}

// Write takes one line, as log.Logger writes it.
func (l *libraryLog) Write(p []byte) (int, error) {
	level, text := parseLine(string(p))
	if what, ok := recognize(text); ok {
		l.see(what)
		level = zerolog.DebugLevel
	}
	if !l.queue.enabled(level) {
		return len(p), nil
	}
	skipped := 0
	if level > zerolog.DebugLevel {
		l.mu.Lock()
		n, ok := l.limit.allow(l.now())
		l.mu.Unlock()
		if !ok {
			return len(p), nil
		}
		skipped = n
	}
	l.queue.put(func(log *zerolog.Logger) {
		e := log.WithLevel(level).Str("reason", text)
		if skipped > 0 {
			e = e.Int("skipped", skipped)
		}
		e.Msg("memberlist")
	})
	return len(p), nil
}

// parseLine splits "[WARN] memberlist: text" into our level and the text.
func parseLine(line string) (zerolog.Level, string) {
	line = strings.TrimSpace(line)
	level := zerolog.WarnLevel
	if rest, ok := strings.CutPrefix(line, "["); ok {
		if word, text, ok := strings.Cut(rest, "]"); ok {
			level, line = levelOf(word), strings.TrimSpace(text)
		}
	}
	line = strings.TrimPrefix(line, "memberlist: ")
	if strings.HasPrefix(line, saysFallback) || strings.HasPrefix(line, saysIgnores) && strings.HasSuffix(line, errNoNode.Error()) {
		level = zerolog.DebugLevel
	}
	return level, line
}

func levelOf(word string) zerolog.Level {
	switch word {
	case "DEBUG", "INFO":
		return zerolog.DebugLevel
	case "ERR", "ERROR":
		return zerolog.ErrorLevel
	}
	return zerolog.WarnLevel
}

// recognize finds the condition in a line of memberlist's log. Only lines that
// end with the sender's address count: what failed on our own initiative is
// judged where it was begun.
func recognize(text string) (condition, bool) {
	if rest, ok := strings.CutPrefix(text, saysTCPBegin); ok {
		if name, _, ok := strings.Cut(rest, saysTCPEnd); ok {
			return condition{kind: kindUDP, who: name}, true
		}
	}
	// The address is last; a label before it may contain anything.
	at := strings.LastIndex(text, saysFrom)
	if at < 0 {
		return condition{}, false
	}
	who, ok := hostOf(text[at+len(saysFrom):])
	if !ok {
		return condition{}, false
	}
	k, ok := kindOf(text[:at])
	return condition{kind: k, who: who}, ok
}

func kindOf(text string) (kind, bool) {
	has := func(s string) bool { return strings.Contains(text, s) }
	switch {
	case has(errExcess.Error()):
		return kindExcess, true
	case has(saysNoLabel):
		return kindUnlabeled, true
	case has(saysOtherLabel):
		return kindLabel, true
	case has(saysNoKey), has(saysDecrypt), has(saysPlain), has(saysCipher):
		return kindKey, true
	case has("failed to receive"), has("Failed to decode"), has("Failed to decompress"), has("Failed to read remote state"),
		has("not supported"), has("missing message type"), has("cannot decode label"), has("label header"), has("invalid msgType"):
		return kindMalformed, true
	}
	return "", false
}

// hostOf returns the address without the port: of a stream it is random.
func hostOf(hostport string) (string, bool) {
	host, _, err := net.SplitHostPort(strings.TrimSpace(hostport))
	if err != nil {
		return "", false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return "", false
	}
	return a.Unmap().WithZone("").String(), true
}

// Package probe watches from outside what a cluster promises: that an address answers, without a
// pause, and that one host only answers for it.
//
// A Prober asks the same address every few milliseconds and remembers when each question was asked
// and answered. A Watcher listens on the segment for hosts that claim an address by ARP or neighbor
// discovery.
package probe

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config says what to ask, and from where.
type Config struct {
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Network  string        // "udp" or "tcp".
	Address  string        // Host and port of the Service.
	Every    time.Duration // Distance of questions; 5 ms when zero.
	Patience time.Duration // How long an answer may take; 1 s when zero.
}

// Prober asks until it is stopped. By TCP every question is a connection of its own; by UDP all
// come from one source port, as a long-lived client's do.
type Prober struct {
	config Config
	cancel context.CancelFunc
	done   sync.WaitGroup
	news   chan struct{} // Something was answered; for the one reader in Await.

	mu    sync.Mutex // Guards all following fields.
	asked []question
	count int // Of the answered ones.
}

// question is one of them; answered is zero while it is open.
type question struct {
	asked, answered time.Time
	by              string // Node of the backend.
}

// Report is what a Prober has seen.
type Report struct {
	Asked, Lost int
	Gap         time.Duration // Longest time without any answer.
	GapBegan    time.Time
	From, To    time.Time      // When the first and the last of the lost ones were asked.
	By          map[string]int // Answers by node of the backend.
}

// String is one line for people.
func (r Report) String() string {
	by := make([]string, 0, len(r.By))
	for _, node := range slices.Sorted(maps.Keys(r.By)) {
		by = append(by, fmt.Sprintf("%s %d", node, r.By[node]))
	}
	return fmt.Sprintf("%d asked, %d lost, longest gap %v, answered by %s", r.Asked, r.Lost, r.Gap.Round(time.Millisecond), strings.Join(by, ", "))
}

// Start begins to ask.
func Start(config Config) (*Prober, error) {
	if config.Every == 0 {
		config.Every = 5 * time.Millisecond
	}
	if config.Patience == 0 {
		config.Patience = time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Prober{config: config, cancel: cancel, news: make(chan struct{}, 1)}
	ask := p.askTCP
	if config.Network == "udp" {
		conn, err := config.Dial(ctx, "udp", config.Address)
		if err != nil {
			cancel()
			return nil, fmt.Errorf("ask %s: %w", config.Address, err)
		}
		ask = func(_ context.Context, number int) { p.askUDP(conn, number) }
		p.done.Go(func() { p.listen(conn) })
		context.AfterFunc(ctx, func() { time.AfterFunc(config.Patience, func() { conn.Close() }) })
	}
	p.done.Go(func() { p.run(ctx, ask) })
	return p, nil
}

func (p *Prober) run(ctx context.Context, ask func(context.Context, int)) {
	tick := time.NewTicker(p.config.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p.mu.Lock()
			number := len(p.asked)
			p.asked = append(p.asked, question{asked: now})
			p.mu.Unlock()
			ask(ctx, number)
		}
	}
}

// askUDP sends the number; failures show as questions without an answer.
func (p *Prober) askUDP(conn net.Conn, number int) {
	_, _ = conn.Write(binary.BigEndian.AppendUint32(nil, uint32(number)))
}

// listen takes the answers until the socket is closed. Other errors (a port was unreachable) pass.
func (p *Prober) listen(conn net.Conn) {
	buf := make([]byte, 2048)
	for {
		n, err := conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n < 4 {
			continue
		}
		p.answered(int(binary.BigEndian.Uint32(buf[n-4:n])), string(buf[:n-4]))
	}
}

func (p *Prober) askTCP(_ context.Context, number int) {
	p.done.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), p.config.Patience)
		defer cancel()
		text, err := Ask(ctx, p.config.Dial, "tcp", p.config.Address)
		if err == nil {
			p.answered(number, text)
		}
	})
}

func (p *Prober) answered(number int, text string) {
	p.mu.Lock()
	if number < len(p.asked) && p.asked[number].answered.IsZero() {
		p.asked[number].answered, p.asked[number].by = time.Now(), Node(text)
		p.count++
	}
	p.mu.Unlock()
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// Stop ends the asking, waits for late answers, and reports.
func (p *Prober) Stop() Report {
	p.cancel()
	end := time.Now()
	p.done.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return report(p.asked, end)
}

// Await waits until so many more questions have been answered. It must not be called by two at a
// time.
func (p *Prober) Await(ctx context.Context, more int) error {
	goal := p.answers() + more
	for {
		have := p.answers()
		if have >= goal {
			return nil
		}
		select {
		case <-p.news:
		case <-ctx.Done():
			return fmt.Errorf("%s: %d of %d more answers: %w", p.config.Address, have+more-goal, more, context.Cause(ctx))
		}
	}
}

func (p *Prober) answers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// report finds the longest time without an answer between the first question and the end.
func report(asked []question, end time.Time) Report {
	r := Report{Asked: len(asked), By: map[string]int{}}
	if len(asked) == 0 {
		return r
	}
	times := []time.Time{asked[0].asked}
	for _, q := range asked {
		if q.answered.IsZero() {
			if r.Lost++; r.Lost == 1 {
				r.From = q.asked
			}
			r.To = q.asked
			continue
		}
		r.By[q.by]++
		if q.answered.Before(end) {
			times = append(times, q.answered)
		}
	}
	times = append(times, end)
	slices.SortFunc(times, time.Time.Compare)
	for i := range times[1:] {
		if gap := times[i+1].Sub(times[i]); gap > r.Gap {
			r.Gap, r.GapBegan = gap, times[i]
		}
	}
	return r
}

// Ask asks once and returns the line of the echo workload: pod, node and client's address.
func Ask(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), network, address string) (string, error) {
	conn, err := dial(ctx, network, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		err = tcp.CloseWrite()
	} else {
		_, err = conn.Write([]byte("?"))
	}
	if err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

// Node returns the node named in a line of the echo workload.
func Node(line string) string {
	if fields := strings.Fields(line); len(fields) > 1 {
		return fields[1]
	}
	return "?"
}

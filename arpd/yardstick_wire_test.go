package arpd

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// compiler is the C compiler; without one there are no yardsticks.
func compiler(t testing.TB) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("needs a C compiler: apt-get install gcc libc6-dev")
	}
	return cc
}

// build compiles a program of testdata.
func build(t testing.TB, name string) string {
	t.Helper()
	cc := compiler(t)
	out := filepath.Join(t.TempDir(), name)
	if text, err := exec.Command(cc, "-O2", "-Wall", "-Werror", "-o", out, filepath.Join("testdata", name+".c")).CombinedOutput(); err != nil {
		t.Fatalf("compile %s: %v\n%s", name, err, text)
	}
	return out
}

// run starts a program in the host until the test ends.
func (h *host) run(in io.Reader, program string, args ...string) io.Reader {
	h.T.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stderr = in, os.Stderr
	out, err := cmd.StdoutPipe()
	h.Must("pipe", err)
	h.do(cmd.Start)
	h.T.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		var ended *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &ended) {
			h.T.Errorf("wait for %s: %v", program, err)
		}
	})
	return out
}

// yardstick answers on an interface of the host for ip by the least C program
// that can.
func (h *host) yardstick(name string, ip netip.Addr) {
	h.T.Helper()
	mac, addr := h.mac(name), ip.As4()
	h.run(nil, build(h.T, "responder"), strconv.Itoa(h.Link(name).Attrs().Index), hex.EncodeToString(mac[:]), hex.EncodeToString(addr[:]))
}

// flood sends a frame so many times a second until the test ends, and returns how
// many were sent in each second.
func (p *pair) flood(frame []byte, rate int) func() int {
	p.T.Helper()
	out := bufio.NewReader(p.peer.run(bytes.NewReader(frame), build(p.T, "flood"), strconv.Itoa(p.peer.Link("eth0").Attrs().Index), strconv.Itoa(rate)))
	second := func() int {
		line, err := out.ReadString('\n')
		p.Must("read the rate of the flood", err)
		n, err := strconv.Atoi(strings.TrimSpace(line))
		p.Must("read the rate of the flood", err)
		return n
	}
	second()
	return second
}

// arping is what Debian's arping says of the time to an answer, in its own
// words.
func (p *pair) arping(ip netip.Addr) (string, bool) {
	p.T.Helper()
	program, err := exec.LookPath("arping")
	if err != nil {
		return "", false
	}
	text, err := io.ReadAll(p.peer.run(nil, program, "-c", "200", "-W", "0.005", "-i", "eth0", ip.String()))
	p.Must("run arping", err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1], true
}

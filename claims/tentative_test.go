package claims

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// probesOf lets a set of probes run and says what it asks and when; answers tells
// who answers a probe at once.
func probesOf(p *probes, from, to time.Time, answers func(netip.Addr, time.Time) (MAC, bool)) (out []string) {
	for now := from; !now.After(to); {
		ask, changed := p.next(now)
		wake := p.at
		for _, ip := range ask {
			out = append(out, fmt.Sprintf("%.2f ask %s", now.Sub(epoch).Seconds(), ip))
			if mac, ok := answers(ip, now); ok && p.heard(ip, mac, mac == mac1, now) {
				out = append(out, fmt.Sprintf("%.2f %s has it", now.Sub(epoch).Seconds(), mac))
			}
		}
		if changed {
			out = append(out, fmt.Sprintf("%.2f changed", now.Sub(epoch).Seconds()))
		}
		if wake.IsZero() {
			break
		}
		now = wake
	}
	return out
}

var (
	mac1, macX   = mac("n1"), mac("x")
	addrA, addrB = netip.MustParseAddr("198.18.0.100"), netip.MustParseAddr("198.18.0.101")
)

// trying is a set of probes whose random pauses are as short as they can be.
func trying(a ACD) probes {
	c := Standard("n2")
	c.ACD = a
	return newProbes(&c)
}

func nobodyHas(netip.Addr, time.Time) (MAC, bool) { return MAC{}, false }

func TestProbeRhythm(t *testing.T) {
	has := func(mac MAC, from, until float64) func(netip.Addr, time.Time) (MAC, bool) {
		return func(_ netip.Addr, now time.Time) (MAC, bool) {
			return mac, !now.Before(at(from)) && now.Before(at(until))
		}
	}
	for _, tc := range []struct {
		name    string
		rhythm  ACD
		until   float64
		answers func(netip.Addr, time.Time) (MAC, bool)
		want    []string
	}{
		{"free", Shortened(), 60, nobodyHas, []string{
			"0.00 ask 198.18.0.100", "0.04 ask 198.18.0.100", "0.08 ask 198.18.0.100", "0.18 changed",
			"54.18 ask 198.18.0.100",
		}},
		{"free, by the book", RFC5227(), 10, nobodyHas, []string{
			"0.00 ask 198.18.0.100", "1.00 ask 198.18.0.100", "2.00 ask 198.18.0.100", "4.00 changed",
		}},
		{"in use", Shortened(), 1, has(macX, 0, 1), []string{
			"0.00 ask 198.18.0.100", "0.00 " + macX.String() + " has it",
			"0.04 ask 198.18.0.100", "0.08 ask 198.18.0.100",
		}},
		{"given up by the station", Shortened(), 200, has(macX, 0, 10), []string{
			"0.00 ask 198.18.0.100", "0.00 " + macX.String() + " has it",
			"0.04 ask 198.18.0.100", "0.08 ask 198.18.0.100",
			"54.18 ask 198.18.0.100", "108.28 ask 198.18.0.100", "162.38 ask 198.18.0.100", "162.48 changed",
		}},
		{"a member is letting go of it", Shortened(), 1, has(mac1, 0, 0.2), []string{
			"0.00 ask 198.18.0.100", "0.00 " + mac1.String() + " has it",
			"0.04 ask 198.18.0.100", "0.08 ask 198.18.0.100", "0.28 ask 198.18.0.100", "0.38 changed",
		}},
		{"a member keeps it for a while", Shortened(), 11, has(mac1, 0, 5), []string{
			"0.00 ask 198.18.0.100", "0.00 " + mac1.String() + " has it",
			"0.04 ask 198.18.0.100", "0.08 ask 198.18.0.100", "0.28 ask 198.18.0.100", "0.48 ask 198.18.0.100",
			"0.68 ask 198.18.0.100", "0.88 ask 198.18.0.100", "1.08 ask 198.18.0.100", "1.28 ask 198.18.0.100",
			"1.48 ask 198.18.0.100", "1.68 ask 198.18.0.100", "1.88 ask 198.18.0.100",
			"2.08 ask 198.18.0.100", "2.08 " + mac1.String() + " has it",
			"7.18 ask 198.18.0.100", "7.28 changed",
		}},
		{"a member takes it", Shortened(), 55, has(mac1, 50, 54.2), []string{
			"0.00 ask 198.18.0.100", "0.04 ask 198.18.0.100", "0.08 ask 198.18.0.100", "0.18 changed",
			"54.18 ask 198.18.0.100", "54.18 " + mac1.String() + " has it",
			"54.38 ask 198.18.0.100", "54.48 changed",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := trying(tc.rhythm)
			p.set([]netip.Addr{addrA}, epoch)
			if diff := gocmp.Diff(tc.want, probesOf(&p, epoch, at(tc.until), tc.answers)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// set makes ips the addresses that are tried out.
func (p *probes) set(ips []netip.Addr, now time.Time) {
	for ip := range p.addrs {
		if !slices.Contains(ips, ip) {
			p.leave(ip)
		}
	}
	for _, ip := range ips {
		p.want(ip, now)
	}
}

func TestProbesArePaced(t *testing.T) {
	p := trying(Shortened())
	many := make([]netip.Addr, 10*probeBurst)
	for i := range many {
		many[i] = netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
	}
	p.set(many, epoch)
	ask, _ := p.next(epoch)
	wake := p.at
	if len(ask) != probeBurst || !wake.Equal(epoch.Add(probeRest)) {
		t.Errorf("%d at once, next after %v", len(ask), wake.Sub(epoch))
	}
	first := map[netip.Addr]bool{}
	for now := epoch; now.Before(at(0.06)); now = now.Add(probeRest) {
		for _, ip := range ask {
			first[ip] = true
		}
		ask, _ = p.next(now)
	}
	if len(first) != 10*probeBurst {
		t.Errorf("%d of %d addresses probed within 60 ms: repeats go before first probes", len(first), 10*probeBurst)
	}
}

func TestProbesOfNoInterestAreForgotten(t *testing.T) {
	m := New(Standard("n2"))
	p := &m.probes
	p.set([]netip.Addr{addrA, addrB}, epoch)
	p.heard(addrB, macX, false, epoch)
	p.set(nil, epoch)
	want := map[netip.Addr]Probed{addrB: {Begun: epoch, Known: true, MAC: macX.String()}}
	if diff := gocmp.Diff(want, m.Probed(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p.heard(addrA, macX, false, epoch) {
		t.Error("an address that is not tried out was learned")
	}
}

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
	"github.com/hashicorp/memberlist"
	"pgregory.net/rapid"
)

func TestMetaLimitIsMemberlists(t *testing.T) {
	if metaLimit != memberlist.MetaMaxSize {
		t.Fatalf("metaLimit %d, memberlist allows %d", metaLimit, memberlist.MetaMaxSize)
	}
}

// The bytes are a protocol between releases: a change here breaks rolling
// updates.
func TestMetaGolden(t *testing.T) {
	tests := []struct {
		name string
		meta Meta
		want string
	}{
		{"zero", Meta{}, "\x01"},
		{"flags", Meta{Ready: true, Draining: true}, "\x01\x01\x01\x03"},
		{"returning", Meta{Ready: true, Returning: true}, "\x01\x01\x01\x05"},
		{"proxy", Meta{Ready: true, Proxy: true}, "\x01\x01\x01\x09"},
		{"no proxy", Meta{Ready: true, NoProxy: true}, "\x01\x01\x01\x11"},
		{"draining", Meta{Draining: true}, "\x01\x01\x01\x02"},
		{"drops", Meta{Ready: true, NoProxy: true, Drops: true}, "\x01\x01\x02\x11\x01"},
		{"away", Meta{Ready: true, Away: true, Deputy: true}, "\x01\x01\x01\x61"},
		{"grace", Meta{Grace: time.Minute}, "\x01\x0d\x02\x00\x3c"},
		{"absent", Meta{Absent: []uint32{0x01020304, 0xfffefdfc}}, "\x01\x0e\x08\x01\x02\x03\x04\xff\xfe\xfd\xfc"},
		{"sessions", Meta{Sessions: []uint32{0x01020304}}, "\x01\x10\x04\x01\x02\x03\x04"},
		{"one path", Meta{OnePath: []uint32{0x01020304}}, "\x01\x11\x04\x01\x02\x03\x04"},
		{"config", Meta{Config: 0x0102030405060708}, "\x01\x02\x08\x01\x02\x03\x04\x05\x06\x07\x08"},
		{"age", Meta{APIAge: 10 * time.Minute}, "\x01\x03\x02\x00\x14"},
		{"version", Meta{Version: "v1.2"}, "\x01\x04\x04v1.2"},
		{
			"segments",
			Meta{Segments: prefixes("198.18.0.0/15", "0.0.0.0/0", "2001:db8:1::/48")},
			"\x01\x05\x01\x00\x05\x03\x0f\xc6\x12\x06\x07\x30\x20\x01\x0d\xb8\x00\x01",
		},
		{"keys", Meta{Keys: []string{"fe010203", "00000001"}}, "\x01\x08\x08\xfe\x01\x02\x03\x00\x00\x00\x01"},
		{"mute", Meta{Mute: []uint32{0x01020304, 0xfffefdfc}}, "\x01\x09\x08\x01\x02\x03\x04\xff\xfe\xfd\xfc"},
		{"macs", Meta{MACs: []string{"02:00:00:00:00:01", "fe:01:02:03:04:05"}}, "\x01\x07\x0c\x02\x00\x00\x00\x00\x01\xfe\x01\x02\x03\x04\x05"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(tt.meta.encode()); got != tt.want {
				t.Errorf("encoded %q, want %q", got, tt.want)
			}
			want := tt.meta
			want.Segments = tidy(want.Segments)
			if diff := cmp.Diff(want, decodeMeta([]byte(tt.want)), cmpPrefix()); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMetaNormal(t *testing.T) {
	var nineKeys []string
	for i := range 9 {
		nineKeys = append(nineKeys, fmt.Sprintf("%08x", i))
	}
	tests := []struct {
		name     string
		in, want Meta
	}{
		{"age is rounded down", Meta{APIAge: 89 * time.Second}, Meta{APIAge: time.Minute}},
		{"a young age is none", Meta{APIAge: 29 * time.Second}, Meta{}},
		{"a negative age is none", Meta{APIAge: -time.Hour}, Meta{}},
		{"a huge age is the largest", Meta{APIAge: 1 << 62}, Meta{APIAge: 65535 * 30 * time.Second}},
		{"version is cut between runes", Meta{Version: strings.Repeat("v", 63) + "é"}, Meta{Version: strings.Repeat("v", 63)}},
		{"version is made valid", Meta{Version: "v1\xff.2"}, Meta{Version: "v1.2"}},
		{
			"segments are sorted, masked, unique, valid",
			Meta{Segments: append(prefixes("2001:db8::1/64", "198.18.1.9/24", "198.18.0.0/24", "198.18.1.0/24"), netip.Prefix{})},
			Meta{Segments: prefixes("198.18.0.0/24", "198.18.1.0/24", "2001:db8::/64")},
		},
		{"mapped IPv4 is IPv4", Meta{Segments: prefixes("::ffff:198.18.0.0/112")}, Meta{Segments: prefixes("198.18.0.0/16")}},
		{
			"MACs are sorted, unique, of one form, of stations",
			Meta{MACs: []string{"02-00-00-00-00-02", "02:00:00:00:00:01", "02:00:00:00:00:02", "01:00:00:00:00:01", "00:00:00:00:00:00", "nonsense", "02:00:00:00:00:00:00:01"}},
			Meta{MACs: []string{"02:00:00:00:00:01", "02:00:00:00:00:02"}},
		},
		{
			"fingerprints keep their order, and are fingerprints",
			Meta{Keys: []string{"fe010203", "nonsense", "0102", "00000001", "FE010204"}},
			Meta{Keys: []string{"fe010203", "00000001", "fe010204"}},
		},
		{"at most eight fingerprints", Meta{Keys: nineKeys}, Meta{Keys: nineKeys[:8]}},
		{"mapped IPv4 with a short prefix is dropped", Meta{Segments: prefixes("::ffff:198.18.0.0/90")}, Meta{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, decodeMeta(tt.in.encode()), cmpPrefix()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMetaTruncatesSegments(t *testing.T) {
	var many []netip.Prefix
	for i := range 300 {
		many = append(many, prefixes(fmt.Sprintf("198.18.%d.%d/32", i/256, i%256), fmt.Sprintf("2001:db8:%x::/64", i))...)
	}
	var macs, keys []string
	for i := range 20 {
		macs, keys = append(macs, fmt.Sprintf("02:00:00:00:00:%02x", i)), append(keys, fmt.Sprintf("%08x", i))
	}
	m := Meta{Ready: true, Version: strings.Repeat("v", 64), Config: 1, APIAge: time.Hour, Segments: many, MACs: macs, Keys: keys}
	b := m.encode()
	if n := len(ordered(b, order{1, 1})); n > metaLimit || n < metaLimit-11 {
		t.Errorf("%d bytes, want just below %d", n, metaLimit)
	}
	slices.Reverse(m.Segments)
	if diff := cmp.Diff(b, m.encode()); diff != "" {
		t.Errorf("order of segments changes the encoding:\n%s", diff)
	}
	got := decodeMeta(b)
	if n := len(got.Segments); n < 40 || !slices.Equal(got.Segments, tidy(many)[:n]) {
		t.Errorf("%d segments that are not the first in order: %v", n, got.Segments)
	}
	if !got.Ready || got.Config != 1 || got.APIAge != time.Hour || !slices.Equal(got.MACs, macs[:macsMost]) || !slices.Equal(got.Keys, keys[:keysMost]) {
		t.Errorf("other fields lost: %+v", got)
	}
}

func TestMetaGarbage(t *testing.T) {
	good := Meta{Ready: true, Version: "v1"}.encode()
	tests := []struct {
		name string
		in   string
		want Meta
	}{
		{"nothing", "", Meta{}},
		{"another version", "\x02" + string(good[1:]), Meta{}},
		{"cut in a value", string(good[:len(good)-1]), Meta{}},
		{"cut after a tag", string(good) + "\x05", Meta{}},
		{"unknown field is skipped", "\x01\xc8\x03abc" + string(good[1:]), Meta{Ready: true, Version: "v1"}},
		{"half a pool", string(good) + "\x09\x03abc", Meta{}},
		{"unknown tail is skipped", string(good) + "\x0a\x02zz", Meta{Ready: true, Version: "v1"}},
		{"tag zero is skipped", "\x01\x00\x00" + string(good[1:]), Meta{Ready: true, Version: "v1"}},
		{"flags may grow", "\x01\x01\x03\x01\x00\xff", Meta{Ready: true}},
		{"empty flags", "\x01\x01\x00", Meta{}},
		{"short config", string(good) + "\x02\x01\x01", Meta{}},
		{"long age", string(good) + "\x03\x03\x01\x01\x01", Meta{}},
		{"segment of 33 bits", string(good) + "\x05\x06\x21\x01\x02\x03\x04\x05", Meta{}},
		{"segment without a length", string(good) + "\x05\x00", Meta{}},
		{"segment with bytes left over", string(good) + "\x05\x03\x08\x01\x02", Meta{}},
		{"segment of 129 bits", string(good) + "\x06\x12\x81" + strings.Repeat("x", 17), Meta{}},
		{"MAC of seven bytes", string(good) + "\x07\x07\x02\x00\x00\x00\x00\x01\x02", Meta{}},
		{"half a fingerprint", string(good) + "\x08\x06\x01\x02\x03\x04\x05\x06", Meta{}},
		{"no fingerprint", string(good) + "\x08\x00", Meta{Ready: true, Version: "v1"}},
		{"nine fingerprints", "\x01\x08\x24" + strings.Repeat("abcd", 9), Meta{Keys: slices.Repeat([]string{"61626364"}, 8)}},
		{"no MAC", string(good) + "\x07\x00", Meta{Ready: true, Version: "v1"}},
		{"group address", string(good) + "\x07\x06\xff\xff\xff\xff\xff\xff", Meta{Ready: true, Version: "v1"}},
		{"end of a hold of three bytes", string(good) + "\x0f\x03\x01\x02\x03", Meta{}},
		{"too long", string(good) + strings.Repeat("\x0a\x00", 260), Meta{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, decodeMeta([]byte(tt.in)), cmpPrefix()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestMetaOfABeginning: a speaker that begins tells no interfaces at first. The network of its node
// is as it was.
func TestMetaOfABeginning(t *testing.T) {
	well := Meta{Ready: true, Segments: prefixes("198.18.0.0/16"), MACs: []string{"02:00:00:00:00:01"}, Mute: []uint32{1}, Config: 7, Proxy: true, NoProxy: true, Returning: true}
	begins := Meta{Away: true, Deputy: true, Mute: []uint32{1, 2}, Grace: time.Minute}
	want := Meta{Away: true, Deputy: true, Grace: time.Minute, Segments: well.Segments, MACs: well.MACs, Mute: well.Mute, Config: 7, Proxy: true, NoProxy: true, Returning: true}
	if diff := cmp.Diff(want, begins.After(well), cmpPrefix()); diff != "" {
		t.Errorf("after the other one (-want +got):\n%s", diff)
	}
	lost := Meta{Ready: false, Config: 7}
	for name, m := range map[string]Meta{"never known": begins.After(Meta{}), "its link is down": lost.After(well)} {
		if len(m.Segments)+len(m.MACs) > 0 {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// TestMetaOfNode: of all that a member says, what holds while its speaker is away is what a speaker
// that begins would have after it, and what an election needs.
func TestMetaOfNode(t *testing.T) {
	said := Meta{
		Ready: true, Returning: true, Proxy: true, NoProxy: true, Deputy: true, Grace: time.Minute, Absent: []uint32{3}, Sessions: []uint32{4}, OnePath: []uint32{5}, Version: "v1", Config: 7,
		Segments: prefixes("198.18.0.0/16"), APIAge: time.Minute, MACs: []string{"02:00:00:00:00:01"}, Mute: []uint32{1}, Keys: []string{"61626364"},
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:7927")},
	}
	want := said
	want.Absent, want.Sessions, want.OnePath, want.Version, want.APIAge, want.Keys, want.Addrs = nil, nil, nil, "", 0, nil, nil
	if diff := cmp.Diff(want, said.OfNode(), cmpPrefix()); diff != "" {
		t.Errorf("of the node (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Meta{Away: true}.After(said), Meta{Away: true}.After(said.OfNode()), cmpPrefix()); diff != "" {
		t.Errorf("after that (-want +got):\n%s", diff)
	}
}

func TestMetaRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Meta{
			Ready:     rapid.Bool().Draw(t, "ready"),
			Draining:  rapid.Bool().Draw(t, "draining"),
			Returning: rapid.Bool().Draw(t, "returning"),
			Proxy:     rapid.Bool().Draw(t, "proxy"),
			NoProxy:   rapid.Bool().Draw(t, "no proxy"),
			Away:      rapid.Bool().Draw(t, "away"),
			Drops:     rapid.Bool().Draw(t, "drops"),
			Deputy:    rapid.Bool().Draw(t, "deputy"),
			Recent:    rapid.Bool().Draw(t, "recent"),
			Until:     []time.Time{{}, time.Unix(1, 0), time.Unix(1<<31, 0), Forever}[rapid.IntRange(0, 3).Draw(t, "until")],
			Grace:     time.Duration(rapid.IntRange(0, 3600).Draw(t, "grace")) * time.Second,
			Version:   rapid.StringN(0, -1, 64).Draw(t, "version"),
			Config:    rapid.Uint64().Draw(t, "config"),
			APIAge:    time.Duration(rapid.IntRange(0, 65535).Draw(t, "age")) * 30 * time.Second,
		}
		for range rapid.IntRange(0, 30).Draw(t, "segments") {
			b := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")
			a, _ := netip.AddrFromSlice(b)
			m.Segments = append(m.Segments, netip.PrefixFrom(a, rapid.IntRange(0, 32).Draw(t, "bits")))
		}
		m.Segments = tidy(m.Segments)
		for i := range rapid.IntRange(0, macsMost).Draw(t, "MACs") {
			m.MACs = append(m.MACs, fmt.Sprintf("02:00:00:00:%02x:%02x", i, rapid.Byte().Draw(t, "MAC")))
		}
		m.Mute = tidyMutes(rapid.SliceOfN(rapid.Uint32(), 0, 2*mutesMost).Draw(t, "mute"))
		m.Absent = tidyMutes(rapid.SliceOfN(rapid.Uint32(), 0, 2*mutesMost).Draw(t, "absent"))
		m.Sessions = tidyRouters(rapid.SliceOfN(rapid.Uint32(), 0, 2*routersMost).Draw(t, "sessions"))
		m.OnePath = tidyRouters(rapid.SliceOfN(rapid.Uint32(), 0, 2*routersMost).Draw(t, "onePath"))
		for range rapid.IntRange(0, keysMost).Draw(t, "keys") {
			m.Keys = append(m.Keys, fmt.Sprintf("%08x", rapid.Uint32().Draw(t, "key")))
		}
		if diff := cmp.Diff(m, decodeMeta(m.encode()), cmpPrefix()); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func FuzzDecodeMeta(f *testing.F) {
	f.Add([]byte{})
	f.Add(Meta{Ready: true, Version: "v1", Config: 7, APIAge: time.Hour, Segments: prefixes("198.18.0.0/15", "2001:db8::/32")}.encode())
	f.Add([]byte("\x01\x05\x00\x06\x12\x81"))
	f.Add(Meta{MACs: []string{"02:00:00:00:00:01", "fe:01:02:03:04:05"}, Segments: prefixes("198.18.0.0/15")}.encode())
	f.Add([]byte("\x01\x07\x0c\x02\x00\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00"))
	f.Add(Meta{Ready: true, Keys: []string{"01020304", "fffefdfc"}, MACs: []string{"02:00:00:00:00:01"}}.encode())
	f.Add([]byte("\x01\x08\x04abcd\x08\x04efgh\x08\x03abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := decodeMeta(b)
		again := m.encode()
		if len(again) > metaLimit {
			t.Fatalf("%d bytes", len(again))
		}
		if diff := cmp.Diff(m, decodeMeta(again), cmpPrefix()); diff != "" {
			t.Fatalf("decoded, encoded and decoded again (-first +second):\n%s", diff)
		}
	})
}

func prefixes(text ...string) (out []netip.Prefix) {
	for _, s := range text {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func cmpPrefix() cmp.Option { return cmpopts.EquateComparable(netip.Prefix{}, netip.AddrPort{}) }

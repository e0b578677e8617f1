package mesh

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/transcript"
)

// fullMeta gives a value to every field.
func fullMeta() Meta {
	return Meta{
		Ready: true, Draining: true, Returning: true, Until: time.Unix(1_800_000_000, 0).UTC(), Recent: true, Proxy: true, NoProxy: true,
		Drops: true, Away: true, Deputy: true, Grace: time.Minute, Absent: []uint32{1, 0xfffefdfc}, Sessions: []uint32{3}, OnePath: []uint32{4},
		Version: "v0.2.0", Config: 0x0102030405060708,
		Segments: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("2001:db8::/64")},
		APIAge:   90 * time.Second, MACs: []string{"02:00:00:00:00:01", "02:00:00:00:00:02"}, Mute: []uint32{5, 6},
		Keys:  []string{"01020304", "a1b2c3d4"},
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("198.18.0.1:7927"), netip.MustParseAddrPort("[2001:db8::1]:7927")},
	}
}

// TestReleases: metadata and messages of all releases are understood, and this tree writes what the
// newest one does.
func TestReleases(t *testing.T) {
	if full := reflect.ValueOf(fullMeta()); true {
		for i := range full.NumField() {
			if full.Field(i).IsZero() {
				t.Errorf("the sample has no %s", full.Type().Field(i).Name)
			}
		}
	}
	o := order{epoch: 0x010203040506, seq: 7}
	sample := func(name string, b []byte, read func([]byte) (any, error)) transcript.Sample {
		return transcript.Sample{Name: name, Text: hex.EncodeToString(b), Read: func(text string) (any, error) {
			b, err := hex.DecodeString(text)
			if err != nil {
				return nil, err
			}
			return read(b)
		}}
	}
	meta := func(b []byte) (any, error) {
		m, err := parseMeta(b)
		if err == nil {
			m = decodeMeta(b)
			m.Until = m.Until.UTC()
		}
		return m, err
	}
	direct := func(b []byte) (any, error) {
		m, o, ok := decodeDirect(bytes.TrimPrefix(b, []byte{messageDirect}))
		if !ok {
			return nil, errors.New("not understood")
		}
		return map[string]any{"message": m, "epoch": o.epoch, "seq": o.seq}, nil
	}
	urgent := func(b []byte) (any, error) {
		name, m, _ := bytes.Cut(bytes.TrimPrefix(b, []byte{messageUrgent}), []byte{0})
		return map[string]any{"name": string(name), "meta": decodeMeta(m).Ready, "epoch": orderOf(m).epoch, "seq": orderOf(m).seq}, nil
	}
	leaves := func(b []byte) (any, error) {
		o, name, ok := parseOrder(bytes.TrimPrefix(b, []byte{messageGoodbye}))
		if !ok {
			return nil, errors.New("not understood")
		}
		return map[string]any{"name": string(name), "epoch": o.epoch, "seq": o.seq}, nil
	}
	ready := append(Meta{Ready: true}.encode(), append([]byte{tagOrder, orderSize - 2}, o.bytes()...)...)
	transcript.Golden(
		t,
		sample("metadata, nothing", Meta{}.encode(), meta),
		sample("metadata, ready", Meta{Ready: true, Proxy: true, Deputy: true, Version: "v0.2.0"}.encode(), meta),
		sample("metadata, everything", fullMeta().encode(), meta),
		sample("message, suspect", encodeDirect(peers.Message{By: "n1", About: "n2"}, o), direct),
		sample("message, drops", encodeDirect(peers.Message{By: "n1", About: "n2", Kind: peers.Drops, Other: "n3", At: netip.MustParseAddrPort("198.18.64.1:80")}, o), direct),
		sample("message, forwards", encodeDirect(peers.Message{By: "n1", About: "n2", Kind: peers.Forwards, Other: "n3", At: netip.MustParseAddrPort("[2001:db8::1]:80")}, o), direct),
		sample("message, urgent metadata", encodeUrgent("n1", ready), urgent),
		sample("message, goodbye", goodbye("n1", o), leaves),
	)
}

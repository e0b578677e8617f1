package cluster

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestBridgeOf reads what flannel 0.28 writes.
func TestBridgeOf(t *testing.T) {
	env := "FLANNEL_NETWORK=198.19.128.0/17\nFLANNEL_SUBNET=198.19.129.1/24\nFLANNEL_IPV6_NETWORK=2001:db8:1a::/56\n" +
		"FLANNEL_IPV6_SUBNET=2001:db8:1a:1::1/64\nFLANNEL_MTU=1430\nFLANNEL_IPMASQ=true\n"
	text, err := bridgeOf(env)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Plugins []struct {
			MTU  int
			IPAM struct{ Ranges [][]struct{ Subnet string } }
		}
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	ranges := got.Plugins[0].IPAM.Ranges
	if got.Plugins[0].MTU != 1430 || ranges[0][0].Subnet != "198.19.129.0/24" || ranges[1][0].Subnet != "2001:db8:1a:1::/64" {
		t.Errorf("made %s", text)
	}
	if _, err := bridgeOf(strings.ReplaceAll(env, "IPV6_SUBNET", "IPV6")); err == nil || !strings.Contains(err.Error(), "FLANNEL_IPV6_SUBNET") {
		t.Errorf("without a part of IPv6: %v", err)
	}
}

package report

import (
	"testing"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		in          api.Conflict
		code        health.Code
		words, todo string
	}{
		{
			"stranger",
			api.Conflict{IP: "198.18.64.1", Kind: "stranger", MAC: "02:00:00:00:00:01"},
			health.AddressTaken,
			"02:00:00:00:00:01 also answers for 198.18.64.1 on the network of node n1",
			"find the machine with this hardware address and give it another address, or exclude the address from its pool",
		},
		{
			"member",
			api.Conflict{IP: "198.18.64.1", Kind: "member", MAC: "02:00:00:00:00:02", Node: "n2"},
			health.AddressDisputed,
			"n2 (02:00:00:00:00:02) also announces 198.18.64.1 and does not yield to n1",
			"compare what n1 and n2 say of it with `starling who 198.18.64.1`, and restart the speaker that is wrong",
		},
	} {
		if c := Conflict(tt.in, "n1"); c.Code != tt.code || c.Words != tt.words || c.Advice != tt.todo {
			t.Errorf("%s: %+v", tt.name, c)
		}
	}
}

package bgp

import (
	"fmt"
	"strconv"
	"strings"

	wire "github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// communities are the attributes that the communities of a path become.
type communities struct {
	standard []uint32
	large    []*wire.LargeCommunity
}

// wellKnown are names that GoBGP does not know, or calls otherwise.
var wellKnown = map[string]wire.WellKnownCommunity{
	"graceful-shutdown": wire.COMMUNITY_PLANNED_SHUT, // RFC 8326
	"local-as":          wire.COMMUNITY_NO_EXPORT_SUBCONFED,
}

// parseCommunities reads communities as routes.Path has them.
func parseCommunities(texts []string) (communities, error) {
	var c communities
	for _, text := range texts {
		if err := c.add(text); err != nil {
			return communities{}, err
		}
	}
	return c, nil
}

func (c *communities) add(text string) error {
	if large, ok := strings.CutPrefix(text, "large:"); ok {
		l, err := wire.ParseLargeCommunity(large)
		if err != nil {
			return fmt.Errorf("community %q: want large:AS:NUMBER:NUMBER", text)
		}
		c.large = append(c.large, l)
		return nil
	}
	if value, ok := named(text); ok {
		c.standard = append(c.standard, uint32(value))
		return nil
	}
	high, low, _ := strings.Cut(text, ":")
	h, err1 := strconv.ParseUint(high, 10, 16)
	l, err2 := strconv.ParseUint(low, 10, 16)
	if err1 != nil || err2 != nil {
		return fmt.Errorf("community %q: want AS:NUMBER, large:AS:NUMBER:NUMBER or a well-known name", text)
	}
	c.standard = append(c.standard, uint32(h<<16|l))
	return nil
}

func named(text string) (wire.WellKnownCommunity, bool) {
	if value, ok := wellKnown[text]; ok {
		return value, true
	}
	value, ok := wire.WellKnownCommunityValueMap[text]
	return value, ok
}

package metallb

import (
	"fmt"
	"strings"
)

// maxName is the longest name that a pool of ours may have.
const maxName = 63

// rename gives every pool a name that we accept, and returns the new names by the old ones.
func (in *input) rename() map[string]string {
	names := make(map[string]string, len(in.pools))
	taken := map[string]bool{}
	for _, p := range in.pools {
		if _, twice := names[p.asked]; twice {
			p.fail("pool %q is there twice: MetalLB wants one object for each name", printable(p.asked))
			continue
		}
		names[p.asked] = p.asked
		taken[p.asked] = true
	}
	for _, p := range in.pools {
		p.Name = fit(p.asked)
		if p.Name == p.asked {
			continue
		}
		for i, base := 2, p.Name; taken[p.Name]; i++ {
			suffix := fmt.Sprintf("-%d", i)
			p.Name = base[:min(len(base), maxName-len(suffix))] + suffix
		}
		taken[p.Name] = true
		names[p.asked] = p.Name
		p.remark("pool %q is called %q here: change the annotation address-pool of the Services that ask for it", printable(p.asked), p.Name)
	}
	return names
}

// fit makes a name of letters and digits, with '-', '_' and '.' between them, of at most maxName
// bytes.
func fit(name string) string {
	fitting := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, name)
	fitting = strings.Trim(fitting[:min(len(fitting), maxName)], "-_.")
	if fitting == "" {
		return "pool"
	}
	return fitting
}

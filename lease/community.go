package lease

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// wellKnown are the communities that have names (RFC 1997, RFC 3765, RFC 7999).
var wellKnown = []string{"blackhole", "no-advertise", "no-export", "no-export-subconfed", "no-peer"}

// large begins the text of a large community (RFC 8092).
const large = "large:"

// readCommunity returns a community as [routes.Path] has it: equal communities have equal texts.
func readCommunity(text string) (string, error) {
	if slices.Contains(wellKnown, text) {
		return text, nil
	}
	prefix, parts, bits := "", 2, 16
	rest, isLarge := strings.CutPrefix(text, large)
	if isLarge {
		prefix, parts, bits = large, 3, 32
	}
	fields := strings.Split(rest, ":")
	if len(fields) != parts {
		return "", errCommunity
	}
	for i, field := range fields {
		n, err := strconv.ParseUint(field, 10, bits)
		if err != nil {
			return "", errCommunity
		}
		fields[i] = strconv.FormatUint(n, 10)
	}
	return prefix + strings.Join(fields, ":"), nil
}

var errCommunity = errors.New("malformed: want two numbers to 65535 such as 64513:100, large: and three numbers to 4294967295 " +
	"such as large:64513:1:2, or one of " + strings.Join(wellKnown, ", "))

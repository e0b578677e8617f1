package metallb

import (
	"strings"
	"unicode"
)

// most is how much of a text that was read is said again.
const most = 253

// printable makes foreign text fit for one line of a message or a comment.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

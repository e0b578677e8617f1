package page

import (
	"cmp"
	"strconv"
)

func orDash(s string) string { return cmp.Or(s, "–") }

// plural is a number with the word that goes with it.
func plural[N int | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands writes a number with a narrow gap between groups of three digits.
func thousands[N int | uint64](n N) string {
	s := strconv.FormatUint(uint64(n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// cut shortens s in its middle to at most n characters.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	front := n / 2
	return string(r[:front]) + "…" + string(r[len(r)-(n-front-1):])
}

package page

// Icon is a picture for a tab of the browser, in the color of a level, as SVG.
func Icon(level string) []byte {
	color := map[string]string{good: "#16855a", fair: "#b97900", bad: "#c9302a"}[level]
	if color == "" {
		color = "#0b5b78"
	}
	return []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="` + color +
		`"/><circle cx="5" cy="8" r="2" fill="#fff"/><circle cx="11" cy="5" r="2" fill="#fff"/><circle cx="11" cy="11" r="2" fill="#fff"/></svg>`)
}

package lease

// Overlap reports whether two ranges, each a CIDR, first-last or one address, have an address in
// common.
func Overlap(a, b string) (bool, error) {
	x, err := parseExclusion(a)
	if err != nil {
		return false, err
	}
	y, err := parseExclusion(b)
	if err != nil {
		return false, err
	}
	return x.first.Compare(y.last) <= 0 && y.first.Compare(x.last) <= 0, nil
}

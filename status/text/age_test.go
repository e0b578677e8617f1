package text

import (
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   time.Duration
		want string
	}{
		{-time.Hour, "0s"},
		{0, "0s"},
		{999 * time.Millisecond, "0s"},
		{12 * time.Second, "12s"},
		{2*time.Minute - 1, "119s"},
		{2 * time.Minute, "2m"},
		{5*time.Minute + 3*time.Second, "5m3s"},
		{10*time.Minute - 1, "9m59s"},
		{10*time.Minute + 3*time.Second, "10m"},
		{3*time.Hour - 1, "179m"},
		{3 * time.Hour, "3h"},
		{7*time.Hour + 59*time.Minute, "7h59m"},
		{8*time.Hour + 59*time.Minute, "8h"},
		{2*day - 1, "47h"},
		{2 * day, "2d"},
		{2*day + 3*time.Hour, "2d3h"},
		{8*day + 3*time.Hour, "8d"},
		{2*year - 1, "729d"},
		{2*year + 5*day, "2y5d"},
		{8*year + 5*day, "8y"},
		{200 * year, "200y"},
	}
	for _, tt := range tests {
		if got := Age(tt.in); got != tt.want {
			t.Errorf("Age(%v) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if got := Since(now.Add(-5*time.Second), now); got != "5s" {
		t.Errorf("five seconds ago is %q", got)
	}
	if got := Since(time.Time{}, now); got != "" {
		t.Errorf("no moment has the age %q", got)
	}
}

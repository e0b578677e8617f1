package arpd

import (
	"slices"
	"testing"
)

func TestSurvey(t *testing.T) {
	all, err := Survey(nil)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(i Interface) bool { return i.Name == "lo" })
	if i < 0 || all[i].Used || all[i].Reason != isLoopback {
		t.Errorf("interfaces %+v: the loopback is missing or used", all)
	}
	if _, err := Survey([]string{"["}); err == nil {
		t.Error("a bad pattern is taken")
	}
}

func TestPermitted(t *testing.T) {
	privileged(t)
	if err := Permitted(); err != nil {
		t.Error(err)
	}
}

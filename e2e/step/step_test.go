package step

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := &Printer{out: &out, started: time.Now()}
		failed := errors.New("broken")
		if err := p.Do("first", func() error { time.Sleep(1250 * time.Millisecond); return nil }); err != nil {
			t.Error(err)
		}
		if err := p.Do("second", func() error { return failed }); !errors.Is(err, failed) {
			t.Errorf("Do returned %v", err)
		}
		want := "  ✓ first" + strings.Repeat(" ", 57) + "1.2 s\n  ✗ second" + strings.Repeat(" ", 56) + "0.0 s\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error("(-want +got)", diff)
		}
		if p.Total() != 1250*time.Millisecond {
			t.Errorf("total is %v", p.Total())
		}
	})
}

func TestDoOnTerminal(t *testing.T) {
	var out strings.Builder
	p := &Printer{out: &out, terminal: true}
	if err := p.Do("work", func() error {
		if diff := cmp.Diff("  · work", out.String()); diff != "" {
			t.Error("while it runs (-want +got)", diff)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if !regexp.MustCompile(`\r\x1b\[K  ✓ work +0\.0 s\n$`).MatchString(out.String()) {
		t.Errorf("%q does not end with the finished line", out.String())
	}
}

func TestCount(t *testing.T) {
	tests := []struct {
		name     string
		terminal bool
		want     int // Lines after a minute of one package each second.
	}{{"terminal", true, 60}, {"file", false, 6}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				count := (&Printer{out: &out, terminal: tt.terminal}).Count()
				for i := range 60 {
					time.Sleep(time.Second)
					count("compile", i+1, 600)
				}
				if got := strings.Count(out.String(), "compile"); got != tt.want {
					t.Errorf("printed %d times, want %d", got, tt.want)
				}
				if !strings.Contains(out.String(), "compile: 10 %, about 9 min left") {
					t.Errorf("%q does not say how far it has come", out.String())
				}
			})
		})
	}
}

func TestHowFar(t *testing.T) {
	tests := []struct {
		name       string
		done, most int
		took       time.Duration
		want       string
	}{
		{"without an end", 12, 0, time.Hour, "12 modules"},
		{"nothing yet", 0, 100, time.Hour, "0 %"},
		{"too early to tell", 1, 100, 19 * time.Second, "1 %"},
		{"a tenth", 10, 100, time.Minute, "10 %, about 9 min left"},
		{"nearly", 99, 100, 10 * time.Minute, "99 %, less than a minute left"},
		{"all", 100, 100, 10 * time.Minute, "100 %, less than a minute left"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := howFar(tt.done, tt.most, tt.took); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestShow(t *testing.T) {
	var out strings.Builder
	p := &Printer{out: &out}
	p.Show("$ command", "one\n\n  two  \n\n")
	p.Say("%d things", 3)
	if diff := cmp.Diff("\n    $ command\n      one\n\n        two\n3 things\n", out.String()); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

func TestNewOnFile(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if New(file).terminal {
		t.Error("a file is no terminal")
	}
}

func TestBegunIsCarriedOn(t *testing.T) {
	first := &Printer{started: time.Now().Add(-time.Minute)}
	t.Setenv(BegunVariable, first.Begun())
	if second := New(os.Stderr); !second.started.Equal(first.started) {
		t.Errorf("began at %v, want %v", second.started, first.started)
	}
	t.Setenv(BegunVariable, "")
	if third := New(os.Stderr); third.Total() > 10*time.Second {
		t.Errorf("began %v ago", third.Total())
	}
}

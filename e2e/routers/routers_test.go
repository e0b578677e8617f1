package routers

import (
	"os"
	"os/exec"
	"testing"
)

// TestConfigurations: BIRD and FRR take their configurations.
func TestConfigurations(t *testing.T) {
	for _, tt := range []struct {
		name, conf string
		argv       []string
	}{
		{"bird", BirdConf, []string{"/usr/sbin/bird", "-p", "-c"}},
		{"frr", FRRConf, []string{"/usr/lib/frr/bgpd", "-C", "-f"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := os.Stat(tt.argv[0]); err != nil && os.Getenv("CI") == "" {
				t.Skipf("%v: scripts/deps installs it", err)
			}
			file := t.TempDir() + "/conf"
			if err := os.WriteFile(file, []byte(tt.conf), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), tt.argv[0], append(tt.argv[1:], file)...).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

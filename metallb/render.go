package metallb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/starling-lb/starling/lease"
	"sigs.k8s.io/yaml"
)

// YAML writes the configuration file, with summary and remarks as comments above it.
func (r Result) YAML() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Converted from MetalLB's configuration. %s.\n", r.Summary)
	if len(r.Remarks) > 0 {
		b.WriteString("#\n# What was changed or has no counterpart:\n")
	}
	for _, remark := range r.Remarks {
		fmt.Fprintf(&b, "# - %s\n", remark)
	}
	b.WriteString("pools:\n")
	for _, p := range r.Config.Pools {
		if err := writePool(&b, p); err != nil {
			return nil, fmt.Errorf("write pool %q: %w", p.Name, err)
		}
	}
	return b.Bytes(), nil
}

// writePool writes the fields in the order of the structure, which reads better than that of the alphabet.
func writePool(b *bytes.Buffer, p lease.Pool) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return err
	}
	bullet := "- "
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return err
		}
		text, err := yaml.Marshal(map[string]any{fmt.Sprint(name): value})
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			b.WriteString(bullet + line)
			bullet = "  "
		}
	}
	return nil
}

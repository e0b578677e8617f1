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
	if err := writeRouters(&b, r.Config.BGP); err != nil {
		return nil, fmt.Errorf("write the key bgp: %w", err)
	}
	b.WriteString("pools:\n")
	for _, p := range r.Config.Pools {
		if err := writeItem(&b, "", p); err != nil {
			return nil, fmt.Errorf("write pool %q: %w", p.Name, err)
		}
	}
	return b.Bytes(), nil
}

// writeRouters writes the key bgp, if there is one.
func writeRouters(b *bytes.Buffer, c *lease.Peering) error {
	if c == nil {
		return nil
	}
	fmt.Fprintf(b, "bgp:\n  asn: %d\n  peers:\n", c.ASN)
	for _, peer := range c.Peers {
		if err := writeItem(b, "  ", peer); err != nil {
			return err
		}
	}
	return nil
}

// writeItem writes an item of a list, its fields in the order of the structure, which reads better
// than that of the alphabet.
func writeItem(b *bytes.Buffer, indent string, item any) error {
	raw, err := json.Marshal(item)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return err
	}
	bullet := indent + "- "
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
			bullet = indent + "  "
		}
	}
	return nil
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// buildType names what the parameters mean.
const buildType = source + "/blob/main/docs/releasing.md#provenance"

// provenance writes what the release was built from, as SLSA v1.0 has it: the predicate alone,
// which is attached to image and chart, and the in-toto statement about all files and both of them.
func (r *release) provenance(inRegistries ...string) error {
	outside, err := structpb.NewStruct(map[string]any{"version": r.version, "source": source, "registry": r.registry})
	if err != nil {
		return err
	}
	predicate := &provenance.Provenance{
		BuildDefinition: &provenance.BuildDefinition{
			BuildType: buildType, ExternalParameters: outside,
			ResolvedDependencies: []*intoto.ResourceDescriptor{{
				Uri: "git+" + source + "@refs/tags/" + r.version, Digest: map[string]string{"gitCommit": r.revision},
			}},
		},
		RunDetails: &provenance.RunDetails{Builder: &provenance.Builder{Id: r.builder}},
	}
	if err := predicate.Validate(); err != nil {
		return fmt.Errorf("provenance: %w", err)
	}
	text, err := encoded(predicate)
	if err != nil {
		return err
	}
	sums, err := r.sums()
	if err != nil {
		return err
	}
	var about structpb.Struct
	if err := protojson.Unmarshal(text, &about); err != nil {
		return fmt.Errorf("provenance: %w", err)
	}
	statement := &intoto.Statement{Type: intoto.StatementTypeUri, PredicateType: "https://slsa.dev/provenance/v1", Predicate: &about}
	for _, s := range sums {
		statement.Subject = append(statement.Subject, &intoto.ResourceDescriptor{Name: s.name, Digest: map[string]string{"sha256": s.sha256}})
	}
	for _, ref := range inRegistries {
		name, digest, _ := strings.Cut(ref, "@sha256:")
		statement.Subject = append(statement.Subject, &intoto.ResourceDescriptor{Name: name, Digest: map[string]string{"sha256": digest}})
	}
	if err := statement.Validate(); err != nil {
		return fmt.Errorf("provenance: %w", err)
	}
	whole, err := encoded(statement)
	if err != nil {
		return err
	}
	if err := r.write("provenance.json", text); err != nil {
		return err
	}
	return r.write("provenance.intoto.json", whole)
}

// encoded is the message as JSON, with the same spaces each time, which protojson does not promise.
func encoded(m proto.Message) ([]byte, error) {
	data, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(fields)
	return out.Bytes(), err
}

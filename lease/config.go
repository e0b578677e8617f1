package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// DefaultPool is the name of a pool that was given without one.
const DefaultPool = "default"

// Config is the configuration file.
type Config struct {
	Pools []Pool `json:"pools"`
}

// ParsePoolFlag reads "[NAME=]RANGE[,RANGE...]". Ranges and name are checked by NewPools.
func ParsePoolFlag(text string) (Pool, error) {
	name, ranges, named := strings.Cut(text, "=")
	if !named {
		name, ranges = DefaultPool, text
	}
	if err := checkName(name); err != nil {
		return Pool{}, fmt.Errorf("pool %q: %w", clip(text), err)
	}
	if strings.TrimSpace(ranges) == "" {
		return Pool{}, fmt.Errorf("pool %q: it has no range", clip(text))
	}
	return Pool{Name: name, Ranges: strings.Split(ranges, ",")}, nil
}

// ParseConfig reads the configuration file, YAML or JSON. Unknown keys are refused; the error joins
// one error for each mistake, each of one line. The pools themselves are checked by NewPools.
func ParseConfig(data []byte) (Config, error) {
	raw, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return Config{}, oneLine("configuration", err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return Config{}, oneLine("configuration", err)
	}
	if err := errors.Join(unknownKeys("configuration", tree, reflect.TypeFor[Config]())...); err != nil {
		return Config{}, err
	}
	var c Config
	if err := json.Unmarshal(raw, &c); err != nil {
		return Config{}, oneLine("configuration", err)
	}
	return c, nil
}

// unknownKeys walks a decoded document along the type that it is for.
func unknownKeys(where string, tree any, t reflect.Type) []error {
	var errs []error
	switch tree := tree.(type) {
	case []any:
		for i, v := range tree {
			if t.Kind() == reflect.Slice {
				errs = append(errs, unknownKeys(fmt.Sprintf("%s[%d]", where, i), v, t.Elem())...)
			}
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return nil // the decoder says that the type is wrong
		}
		known := keysOf(t)
		for _, k := range slices.Sorted(maps.Keys(tree)) {
			if known[k] == nil {
				errs = append(errs, fmt.Errorf("%s: unknown key %q", where, clip(k)))
				continue
			}
			errs = append(errs, unknownKeys(strings.TrimPrefix(where+"."+k, "configuration."), tree[k], known[k])...)
		}
	}
	return errs
}

// keysOf returns the keys of a structure and the types of their values.
func keysOf(t reflect.Type) map[string]reflect.Type {
	keys := make(map[string]reflect.Type, t.NumField())
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		keys[name] = f.Type
	}
	return keys
}

func oneLine(what string, err error) error {
	return fmt.Errorf("%s: %s", what, strings.Join(strings.Fields(err.Error()), " "))
}

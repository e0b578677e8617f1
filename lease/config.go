package lease

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
)

const (
	// maxConfig is the largest configuration that is read: as much as a ConfigMap holds.
	maxConfig = 1 << 20
	// maxMistakes is how many mistakes are told at once.
	maxMistakes = 50
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
	if name == "" {
		return Pool{}, fmt.Errorf("pool %q: it has no name", clip(text))
	}
	if err := checkName(name); err != nil {
		return Pool{}, fmt.Errorf("pool %q: %w", clip(text), err)
	}
	if strings.TrimSpace(ranges) == "" {
		return Pool{}, fmt.Errorf("pool %q: it has no range", clip(text))
	}
	return Pool{Name: name, Ranges: strings.Split(ranges, ",")}, nil
}

// ParseConfig reads the configuration file, YAML or JSON. Unknown keys, keys that are there twice and values
// of a wrong type are refused; the error joins one error for each mistake, each of one line. The pools
// themselves are checked by NewPools.
func ParseConfig(data []byte) (Config, error) {
	d, err := readDocument(data)
	if err != nil {
		return Config{}, err
	}
	if err := joinErrors(asErrors(d.form)); err != nil {
		return Config{}, err
	}
	return d.config, nil
}

// mistakes walks a decoded document along the type that it is for and returns what does not fit.
// The decoder would stop at the first one, and speak of the names in this program.
func mistakes(where place, tree any, t reflect.Type) []mistake {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if tree == nil {
		return nil // a key without a value is as good as none
	}
	switch list, ok := tree.([]any); {
	case t.Kind() == reflect.Slice && ok:
		var errs []mistake
		for i, v := range list {
			errs = append(errs, mistakes(where.to(i), v, t.Elem())...)
		}
		return errs
	case t.Kind() == reflect.Slice:
		return wrongType(where, "a list", tree)
	}
	switch keys, ok := tree.(map[string]any); {
	case t.Kind() != reflect.Struct && t.Kind() != reflect.Map:
		return wrongValue(where, tree, t)
	case !ok:
		return wrongType(where, "keys with values", tree)
	default:
		return wrongKeys(where, keys, t)
	}
}

// wrongKeys walks a map along a structure, or a map of anything.
func wrongKeys(where place, tree map[string]any, t reflect.Type) []mistake {
	known := keysOf(t)
	var errs []mistake
	for _, k := range slices.Sorted(maps.Keys(tree)) {
		of := known[k]
		switch {
		case t.Kind() == reflect.Map:
			of = t.Elem()
		case of == nil:
			names := strings.Join(slices.Sorted(maps.Keys(known)), ", ")
			errs = append(errs, mistake{where.to(k), fmt.Errorf("%s: unknown key %q; known are %s", where, clip(k), names)})
			continue
		}
		errs = append(errs, mistakes(where.to(k), tree[k], of)...)
	}
	return errs
}

// wrongValue checks a single value.
func wrongValue(where place, v any, t reflect.Type) []mistake {
	if t == reflect.TypeFor[Keep]() {
		if !isKeep(v) {
			return wrongType(where, wantKeep, v)
		}
		return nil
	}
	switch t.Kind() {
	case reflect.Bool:
		if _, ok := v.(bool); !ok {
			return wrongType(where, "true or false", v)
		}
	case reflect.Int:
		if n, ok := v.(float64); !ok || n != math.Trunc(n) || math.Abs(n) > math.MaxInt32 {
			return wrongType(where, "a whole number", v)
		}
	default:
		switch v.(type) {
		case string:
		case bool, float64:
			return wrongType(where, "text", v, "; put it in quotes")
		default:
			return wrongType(where, "text", v)
		}
	}
	return nil
}

func wrongType(where place, want string, got any, advice ...string) []mistake {
	return []mistake{{where, fmt.Errorf("%s: want %s, got %s%s", where, want, describe(got), strings.Join(advice, ""))}}
}

// describe says in words what was found in the place of something else.
func describe(v any) string {
	switch v := v.(type) {
	case []any:
		return "a list"
	case map[string]any:
		return "keys with values"
	case string:
		return fmt.Sprintf("the text %q", clip(v))
	case float64:
		return fmt.Sprintf("the number %v", v)
	}
	return fmt.Sprint(v)
}

// keysOf returns the keys of a structure and the types of their values.
func keysOf(t reflect.Type) map[string]reflect.Type {
	if t.Kind() != reflect.Struct {
		return nil
	}
	keys := make(map[string]reflect.Type, t.NumField())
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		keys[name] = f.Type
	}
	return keys
}

// joinErrors joins errors, the first ones of many.
func joinErrors(errs []error) error {
	if more := len(errs) - maxMistakes; more > 0 {
		errs = append(errs[:maxMistakes:maxMistakes], fmt.Errorf("and %d more mistakes", more))
	}
	return errors.Join(errs...)
}

func oneLine(what string, err error) error {
	return fmt.Errorf("%s: %s", what, strings.Join(strings.Fields(err.Error()), " "))
}

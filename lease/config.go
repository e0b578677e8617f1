package lease

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxConfig is the largest configuration that is read: as much as a ConfigMap holds.
	maxConfig = 1 << 20
	// maxMistakes is how many mistakes an error names.
	maxMistakes = 50
	// maxExact is up to where JSON's numbers are exact whole numbers.
	maxExact = 1 << 53
)

// DefaultPool is the name of a pool that was given without one.
const DefaultPool = "default"

// Config is the configuration file.
type Config struct {
	// BGP says who our routers are. Nil: there are none.
	BGP   *Peering `json:"bgp,omitempty"`
	Pools []Pool   `json:"pools"`
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

// ParseConfig reads the configuration file, YAML or JSON. Unknown keys, keys that are there twice
// and values of a wrong type are refused; the error joins one error for each mistake, each of one
// line. The pools themselves are checked by NewPools.
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
	switch {
	case tree == nil:
		return nil // a key without a value is as good as none
	case t == reflect.TypeFor[Announce]():
		return wrongEntry(where, tree)
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
			errs = append(errs, mistake{where.to(k), unknownKey(where, k, slices.Sorted(maps.Keys(known)))})
			continue
		}
		errs = append(errs, mistakes(where.to(k), tree[k], of)...)
	}
	return errs
}

// unknownKey says which key may have been meant, or which there are.
func unknownKey(where place, key string, known []string) error {
	best, away := "", len(key)
	for _, k := range known {
		if d := typos(strings.ToLower(clip(key)), strings.ToLower(k)); d < away && d <= max(1, len(k)/3) {
			best, away = k, d
		}
	}
	text := fmt.Errorf("%s: unknown key %q", where, clip(key))
	if best == "" {
		return fmt.Errorf("%w; known are %s", text, strings.Join(known, ", "))
	}
	return misspelled{fmt.Errorf("%w; did you mean %s?", text, best), where.to(best)}
}

// Duration is a time with its unit, such as "90s".
type Duration string

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
	case reflect.Int, reflect.Int64:
		return wrongNumber(where, v, t)
	default:
		switch v.(type) {
		case string:
		case bool, float64:
			if t == reflect.TypeFor[Duration]() {
				return wrongType(where, "a duration with its unit, such as 90s", v)
			}
			return wrongType(where, "text", v, "; put it in quotes")
		default:
			return wrongType(where, "text", v)
		}
	}
	return nil
}

// wrongNumber checks a whole number. One that the type holds is left to who knows what it may be.
func wrongNumber(where place, v any, t reflect.Type) []mistake {
	most := map[reflect.Kind]float64{reflect.Int: math.MaxInt32, reflect.Int64: maxExact}[t.Kind()]
	n, ok := v.(float64)
	switch {
	case ok && n == math.Trunc(n) && math.Abs(n) <= most:
		return nil
	case ok && n == math.Trunc(n):
		return wrongType(where, fmt.Sprintf("a whole number between -%.0f and %.0f", most, most), v)
	}
	if text, is := v.(string); is {
		if _, err := strconv.ParseInt(text, 10, 64); err == nil {
			return wrongType(where, "a whole number", v, "; remove the quotes")
		}
	}
	return wrongType(where, "a whole number", v)
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
		return "the number " + strconv.FormatFloat(v, 'f', -1, 64)
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

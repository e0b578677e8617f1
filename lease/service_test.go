package lease

import (
	"reflect"
	"testing"
	"time"
)

// TestSame changes each field of a Service: none may be overlooked.
func TestSame(t *testing.T) {
	one, other := plainService(1), plainService(1)
	if other.Annotations = [][2]string{}; !one.Same(&other) {
		t.Error("equal Services differ")
	}
	text, list, table := "other", []string{"other"}, [][2]string{{"other", ""}}
	for f := range reflect.TypeFor[Service]().Fields() {
		changed := plainService(1)
		v := reflect.ValueOf(&changed).Elem().FieldByIndex(f.Index)
		switch v.Interface().(type) {
		case string:
			v.SetString(text)
		case bool:
			v.SetBool(!v.Bool())
		case []string:
			v.Set(reflect.ValueOf(list))
		case [][2]string:
			v.Set(reflect.ValueOf(table))
		case time.Time:
			v.Set(reflect.ValueOf(epoch.Add(time.Hour)))
		default:
			t.Errorf("field %s: this test knows no other value of a %s", f.Name, f.Type)
		}
		if one.Same(&changed) {
			t.Errorf("field %s is overlooked", f.Name)
		}
	}
}

package agent

import (
	"reflect"
	"testing"
)

// TestSameSeesEveryField changes each field of a function in turn, so that a new
// one cannot be forgotten: a function that changed would go on as it was.
func TestSameSeesEveryField(t *testing.T) {
	for _, root := range [][]int{{}, {fieldOf(t, "Limits")}, {fieldOf(t, "Permissions")}, {fieldOf(t, "Log")}} {
		typ := reflect.TypeFor[Function]()
		if len(root) > 0 {
			typ = typ.FieldByIndex(root).Type
		}
		for i := range typ.NumField() {
			index := append(append([]int{}, root...), i)
			if typ.Field(i).Type.Kind() == reflect.Struct {
				continue // it has a turn of its own
			}
			f, g := Function{}, Function{}
			change(t, reflect.ValueOf(&g).Elem().FieldByIndex(index))
			past := typ.Field(i).Name == "StateFrom" // where its state came from once
			if f.same(&g) != past || !g.same(&g) || !f.same(&f) {
				t.Errorf("same does not look at %s", typ.Field(i).Name)
			}
		}
	}
}

func fieldOf(t *testing.T, name string) int {
	f, ok := reflect.TypeFor[Function]().FieldByName(name)
	if !ok {
		t.Fatalf("Function has no field %s", name)
	}
	return f.Index[0]
}

func change(t *testing.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"x": "y"}))
	default:
		t.Fatalf("no other value for a %s", v.Kind())
	}
}

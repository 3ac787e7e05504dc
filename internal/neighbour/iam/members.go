package iam

import "reflect"

// members are the strings of an input by name, absent ones left out.
func members(in any) map[string]string {
	v := reflect.ValueOf(in).Elem()
	out := map[string]string{}
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() == reflect.Pointer && !f.IsNil() {
			f = f.Elem()
		}
		if f.Kind() == reflect.String && f.Len() > 0 {
			out[v.Type().Field(i).Name] = f.String()
		}
	}
	return out
}

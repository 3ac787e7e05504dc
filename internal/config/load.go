package config

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Load reads the settings from a file (when args or the environment name one),
// the environment and the arguments, and checks them. fs may hold further flags
// of the caller.
func Load(fs *flag.FlagSet, args []string, getenv func(string) string) (Config, error) {
	c := Default()
	file := fs.String("config", getenv("OUTCROP_CONFIG"), "YAML file with settings of these names")
	var given []func(*Config) error // flags come last, whatever their place
	for f := range fields(&c) {
		switch f.value.Interface().(type) {
		case bool:
			fs.BoolFunc(f.key, f.help, func(s string) error { given = append(given, setter(f.index, s)); return check(f.index, s) })
		default:
			help := f.help
			if d := f.text(); d != "" {
				help += " (default " + d + ")"
			}
			fs.Func(f.key, help, func(s string) error { given = append(given, setter(f.index, s)); return check(f.index, s) })
		}
	}
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	if fs.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if *file != "" {
		b, err := os.ReadFile(*file)
		if err != nil {
			return c, fmt.Errorf("read settings: %w", err)
		}
		if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&c); err != nil && len(bytes.TrimSpace(b)) > 0 {
			return c, fmt.Errorf("settings in %s: %w", *file, err)
		}
	}
	for f := range fields(&c) {
		name := "OUTCROP_" + strings.ToUpper(strings.ReplaceAll(f.key, "-", "_"))
		if v := getenv(name); v != "" {
			if err := set(f.value, f.form, v); err != nil {
				return c, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for _, g := range given {
		if err := g(&c); err != nil {
			return c, err
		}
	}
	c.Data = cmp.Or(c.Data, DefaultData())
	c.Cache = cmp.Or(c.Cache, DefaultCache())
	return c, c.Check()
}

type field struct {
	index           int
	key, help, form string
	value           reflect.Value
}

func (f field) text() string {
	if f.value.IsZero() {
		return ""
	}
	return fmt.Sprint(f.value.Interface())
}

func fields(c *Config) func(func(field) bool) {
	v := reflect.ValueOf(c).Elem()
	return func(yield func(field) bool) {
		for i := range v.NumField() {
			tag := v.Type().Field(i).Tag
			if !yield(field{i, tag.Get("yaml"), tag.Get("help"), pairForm(tag), v.Field(i)}) {
				return
			}
		}
	}
}

func setter(index int, s string) func(*Config) error {
	return func(c *Config) error { return setAt(c, index, s) }
}

// check tells a wrong flag at the place where the flag package can name it.
func check(index int, s string) error {
	return setAt(new(Config), index, s)
}

func setAt(c *Config, index int, s string) error {
	v := reflect.ValueOf(c).Elem()
	return set(v.Field(index), pairForm(v.Type().Field(index).Tag), s)
}

func pairForm(tag reflect.StructTag) string { return cmp.Or(tag.Get("form"), "AWS-ID=MODEL") }

// set gives a setting its value; form says how a pair of a map is written.
func set(v reflect.Value, form, s string) error {
	switch v.Interface().(type) {
	case string:
		v.SetString(s)
	case bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("%q is not true or false", s)
		}
		v.SetBool(b)
	case time.Duration:
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is not a duration such as 30s or 5m", s)
		}
		v.SetInt(int64(d))
	case int, int64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a whole number of zero or more", s)
		}
		v.SetInt(n)
	case map[string]string:
		for pair := range strings.SplitSeq(s, ";") {
			k, val, ok := strings.Cut(pair, "=")
			if !ok || k == "" || val == "" {
				return fmt.Errorf("%q is not %s", pair, form)
			}
			if v.IsNil() {
				v.Set(reflect.MakeMap(v.Type()))
			}
			v.SetMapIndex(reflect.ValueOf(k), reflect.ValueOf(val))
		}
	default:
		panic("BUG: setting of type " + v.Type().String())
	}
	return nil
}

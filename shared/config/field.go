package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/secret"
)

// Field describes one variable of a configuration.
type Field struct {
	Name     string // the environment variable
	Default  string // "" when there is none
	Need     string // what a good value is, as the end of "it needs …"
	Example  string // a good value
	Desc     string // what it is for
	Empty    string // what an empty value means; "" when it means the default
	Group    string // the title of the struct that declares it: "NATS", "The Confluence site", …
	Required bool   // no value, no start; within an optional group, once one of them is set
	Optional bool   // its group may be left out as a whole
	Secret   bool   // never printed; may come from NAME_FILE

	GoName string // of the field in its struct, by which a value that cannot be parsed is traced
}

// Fields returns every variable of cfg, a configuration struct, in the order of its fields.
func Fields(cfg any) []Field { return fieldsOf(reflect.TypeOf(cfg), false, nil) }

// fieldsOf returns the variables of t. An embedded group may be tagged optional:"true", and
// defaults:"NAME=value …" replaces the defaults of single variables in it.
func fieldsOf(t reflect.Type, optional bool, defaults map[string]string) []Field {
	var fields []Field
	title := ""
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Name == "_" {
			title = sf.Tag.Get("title")
			continue
		}
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct {
			opt := optional || sf.Tag.Get("optional") == "true"
			fields = append(fields, fieldsOf(sf.Type, opt, replaced(sf.Tag.Get("defaults"), defaults))...)
			continue
		}
		name := sf.Tag.Get("env")
		if name == "" {
			continue
		}
		f := Field{
			Name: name, Default: sf.Tag.Get("default"), Need: sf.Tag.Get("need"), Example: sf.Tag.Get("example"),
			Desc: sf.Tag.Get("desc"), Empty: sf.Tag.Get("empty"), Group: title, GoName: sf.Name,
			Required: sf.Tag.Get("required") == "true", Optional: optional,
			Secret: sf.Type == reflect.TypeFor[secret.String](),
		}
		if d, ok := defaults[name]; ok {
			f.Default = d
		}
		fields = append(fields, f)
	}
	return fields
}

// replaced adds the pairs of a defaults tag to those of the structs around it, which take precedence.
func replaced(tag string, outer map[string]string) map[string]string {
	all := map[string]string{}
	for pair := range strings.FieldsSeq(tag) {
		name, value, _ := strings.Cut(pair, "=")
		all[name] = value
	}
	for name, value := range outer {
		all[name] = value
	}
	return all
}

// saying returns the description of a bad value. It repeats neither secrets nor values that could
// contain a password.
func (f Field) saying(value string) string {
	if f.Secret || strings.Contains(value, "@") {
		return "has a value that cannot be used"
	}
	return `is "` + value + `"`
}

// Program is one program and the variables that it reads.
type Program struct {
	Name   string // as the folder under services/
	Types  []Type // its own configuration, and that of each stage in it
	Fields []Field
}

// NewProgram returns the program with the configuration types. If several types have the same variable,
// the first one's default applies.
func NewProgram(name string, types ...Type) Program {
	p := Program{Name: name, Types: types}
	for _, t := range types {
		for _, f := range t.Fields {
			if !slices.ContainsFunc(p.Fields, func(there Field) bool { return there.Name == f.Name }) {
				p.Fields = append(p.Fields, f)
			}
		}
	}
	return p
}

// Type is a configuration type, for callers that handle several.
type Type struct {
	Fields []Field
	// Load is Of for the type: it returns a value of it.
	Load func(Environment) (any, error)
}

// TypeOf returns T, a configuration struct, as a Type.
func TypeOf[T any]() Type {
	var cfg T
	return Type{Fields: Fields(cfg), Load: func(e Environment) (any, error) { return Of[T](e) }}
}

// kebab turns ChunkWriter into chunk-writer.
func kebab(goName string) string {
	var b strings.Builder
	for i, r := range goName {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

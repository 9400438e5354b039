// Package config reads the settings of every program from the environment, checks them all
// before anything starts, and knows enough about them to write their documentation.
//
// Each service has one struct, made of the groups that it shares with others. A group says what
// it is for readers by a first field "_ struct{}" with the tag title. A variable is one field with
// these tags:
//
//	env       the variable's name
//	default   its value when the variable is not set or empty
//	required  "true" when there is no way to go on without it
//	empty     what an empty value means, for the few variables where it is not "not set"
//	need      what a good value is, as the end of "it needs …"
//	example   a good value
//	desc      what it is for, for docs/configuration.md and .env.example
//
// A secret may come from a file: NAME_FILE names one whose content is the value of NAME.
package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"

	"github.com/caarlos0/env/v11"
)

// Load returns T filled from lookup (os.LookupEnv in a program). Every setting is checked;
// the error is a *ConfigurationError that names all that are wrong, or the complaint that T
// itself cannot be used as a configuration.
func Load[T any](lookup func(string) (string, bool)) (T, error) {
	return Of[T](Read(NewProgram(kebab(reflect.TypeFor[T]().Name()), TypeOf[T]()), lookup))
}

// Of returns T filled from the program's environment. T is a part of the program's settings: one of its
// groups, or the configuration of a stage that runs in it. The program's defaults apply, and settings
// that are optional for the program are optional for T. The error is a *ConfigurationError that names
// all wrong settings of T, or says that T has a setting that is not among the program's.
func Of[T any](e Environment) (T, error) {
	var cfg, none T
	c := &checker{service: e.program.Name, fields: map[string]Field{}, raw: e.raw, problems: maps.Clone(e.problems)}
	var fields []Field
	for _, f := range Fields(cfg) {
		named, ok := e.field(f.Name)
		if !ok {
			return none, fmt.Errorf("%s is not among the settings of %s", f.Name, e.program.Name)
		}
		named.GoName = f.GoName
		c.fields[f.Name] = named
		fields = append(fields, named)
	}
	c.require(fields)
	if err := env.ParseWithOptions(&cfg, env.Options{Environment: c.raw}); err != nil {
		if err := c.unparsable(err, fields); err != nil {
			return none, err
		}
	}
	c.walk(reflect.ValueOf(cfg))
	if err := c.err(fields); err != nil {
		return none, err
	}
	return cfg, nil
}

// checker collects the raw values of one configuration and their problems.
type checker struct {
	service  string
	fields   map[string]Field
	raw      map[string]string // by variable, defaults filled in
	problems map[string]string // by variable: "is not set", …
}

// checks is implemented by the groups that have rules beyond the types of their fields.
type checks interface{ check(c *checker) }

// Checked is the same for the structs of other packages: Check calls ensure for each variable with a
// rule, and says whether its value is valid. A variable without a value is not checked.
type Checked interface {
	Check(ensure func(variable string, ok bool))
}

// ensure records a problem with the variable unless ok. It accepts a variable without a value: require
// reports the missing ones.
func (c *checker) ensure(name string, ok bool) {
	if !ok && c.raw[name] != "" {
		c.wrong(name, c.fields[name].saying(c.raw[name]))
	}
}

// fine reports whether the variable has no problem so far: a rule about two variables is skipped while
// the other one is wrong.
func (c *checker) fine(name string) bool { return c.problems[name] == "" }

// wrong records a variable's problem; the first problem of a variable stays.
func (c *checker) wrong(name, is string) {
	if c.problems == nil {
		c.problems = map[string]string{}
	}
	if c.problems[name] == "" {
		c.problems[name] = is
	}
}

// require reports each required variable without a value. The required variables of an optional group
// are checked only if one of the group is set: half a credential is a mistake, none is a choice.
func (c *checker) require(fields []Field) {
	begun := map[string]string{}
	for _, f := range fields {
		if f.Optional && f.Required && c.raw[f.Name] != "" && begun[f.Group] == "" {
			begun[f.Group] = f.Name
		}
	}
	for _, f := range fields {
		switch {
		case !f.Required || c.raw[f.Name] != "":
		case !f.Optional:
			c.wrong(f.Name, "is not set")
		case begun[f.Group] != "":
			c.wrong(f.Name, "is not set although "+begun[f.Group]+" is")
		}
	}
}

// unparsable records the values that do not have their field's type. Other errors are bugs in the
// struct, not in the environment, and are returned.
func (c *checker) unparsable(err error, fields []Field) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return fmt.Errorf("read the configuration of %s: %w", c.service, err)
	}
	for _, e := range all.Errors {
		var bad env.ParseError
		if !errors.As(e, &bad) {
			return fmt.Errorf("read the configuration of %s: %w", c.service, e)
		}
		// bad.Err quotes the value, so only its field's name is used.
		for _, f := range fields {
			if f.GoName == bad.Name {
				c.wrong(f.Name, f.saying(c.raw[f.Name]))
			}
		}
	}
	return nil
}

// walk asks every group inside v, and v itself, for its own rules.
func (c *checker) walk(v reflect.Value) {
	for i := range v.NumField() {
		if group := v.Type().Field(i); group.Anonymous && group.Type.Kind() == reflect.Struct {
			c.walk(v.Field(i))
		}
	}
	if g, ok := v.Interface().(checks); ok {
		g.check(c)
	}
	if g, ok := v.Interface().(Checked); ok {
		g.Check(c.ensure)
	}
}

func (c *checker) err(fields []Field) error {
	e := &ConfigurationError{Service: c.service}
	for _, f := range fields {
		if is := c.problems[f.Name]; is != "" {
			e.Problems = append(e.Problems, Problem{Name: f.Name, Is: is, Need: f.Need, Example: f.Example})
		}
	}
	if len(e.Problems) == 0 {
		return nil
	}
	return e
}

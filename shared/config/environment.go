package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// Environment is a program's value for each of its settings, read once. Everything in the program gets
// its configuration from here, so that every way to start it knows the same settings.
type Environment struct {
	program  Program
	raw      map[string]string // by variable, defaults filled in
	problems map[string]string // by variable, why it cannot be read
}

// Read takes the program's settings from lookup (os.LookupEnv in a program). It does not check them; Of
// does.
func Read(p Program, lookup func(string) (string, bool)) Environment {
	e := Environment{program: p, raw: map[string]string{}, problems: map[string]string{}}
	for _, f := range p.Fields {
		e.gather(f, lookup)
	}
	return e
}

// With returns the environment with other values for some variables, for example the addresses of
// servers that the program has started itself.
func (e Environment) With(values map[string]string) Environment {
	e.raw, e.problems = maps.Clone(e.raw), maps.Clone(e.problems)
	for name, value := range values {
		e.raw[name] = value
		delete(e.problems, name)
	}
	return e
}

// Check checks the settings of several types together. The error is a *ConfigurationError with all
// problems, or Of's error for an invalid type.
func (e Environment) Check(types ...Type) error {
	all := &ConfigurationError{Service: e.program.Name}
	for _, t := range types {
		_, err := t.Load(e)
		var wrong *ConfigurationError
		switch {
		case err == nil:
		case !errors.As(err, &wrong):
			return err
		default:
			for _, p := range wrong.Problems {
				if !slices.ContainsFunc(all.Problems, func(q Problem) bool { return q.Name == p.Name }) {
					all.Problems = append(all.Problems, p)
				}
			}
		}
	}
	if len(all.Problems) == 0 {
		return nil
	}
	return all
}

// field returns the program's field of that name.
func (e Environment) field(name string) (Field, bool) {
	i := slices.IndexFunc(e.program.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return e.program.Fields[i], true
}

// gather finds the raw value of f: the variable, for a secret the file in NAME_FILE, or the default. It
// records why a value cannot be read.
func (e *Environment) gather(f Field, lookup func(string) (string, bool)) {
	value, set := lookup(f.Name)
	value = strings.TrimSpace(value)
	if f.Secret {
		if file, _ := lookup(f.Name + fileSuffix); strings.TrimSpace(file) != "" {
			if value != "" {
				e.problems[f.Name] = "is set twice, as " + f.Name + " and as " + f.Name + fileSuffix
				return
			}
			v, err := readSecret(strings.TrimSpace(file))
			if err != nil {
				e.problems[f.Name] = "cannot be read from " + f.Name + fileSuffix + " (" + err.Error() + ")"
				return
			}
			value = v
		}
	}
	if value == "" && (!set || f.Empty == "") {
		value = f.Default
	}
	e.raw[f.Name] = value
}

const (
	fileSuffix    = "_FILE"
	maxSecretFile = 64 << 10 // bytes; a secret is small, so a bigger file is the wrong file
)

// readSecret returns the trimmed content of file. Its errors never quote the content.
func readSecret(file string) (string, error) {
	f, err := os.Open(file) //nolint:gosec // the file that a NAME_FILE variable names
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", err
	}
	v := strings.TrimSpace(string(b))
	switch {
	case len(b) > maxSecretFile:
		return "", fmt.Errorf("%s holds more than %d bytes", file, maxSecretFile)
	case v == "":
		return "", fmt.Errorf("%s is empty", file)
	}
	return v, nil
}

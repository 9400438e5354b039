package config

import (
	"fmt"
	"strings"
)

// ConfigurationError names every setting of a program that is missing or wrong. It never
// holds a secret's value.
type ConfigurationError struct {
	Service  string    // the program, as its folder under services/
	Problems []Problem // in the order of the program's settings, at least one
}

// Problem is one setting that is missing or wrong.
type Problem struct {
	Name    string // the environment variable
	Is      string // what is wrong: "is not set", `is "many"`, …
	Need    string // what a good value is
	Example string // a good value
}

// Error lists the problems, one a line.
func (e *ConfigurationError) Error() string {
	var b strings.Builder
	noun := "settings are"
	if len(e.Problems) == 1 {
		noun = "setting is"
	}
	fmt.Fprintf(&b, "%s cannot start: %d %s missing or wrong", e.Service, len(e.Problems), noun)
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "\n  %s", p)
	}
	return b.String()
}

// String is the problem in one line.
func (p Problem) String() string {
	return fmt.Sprintf("%s %s; it needs %s, for example %s", p.Name, p.Is, p.Need, p.Example)
}

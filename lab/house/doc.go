// Package house tests the repository's own rules: which package may import what, what a service's main looks like,
// and what the compose file and the documentation say about settings. It contains only tests.
//
// The tests read files of every module, and the test cache does not notice changes of them; run them with -count=1,
// as make test does.
package house

// Package house holds the repository to its own rules, as ordinary tests: which package may
// import what, how a service's main looks, what the compose file and the documentation say
// about the settings. It has no code of its own.
//
// The tests read files of every module, which the test cache does not notice; run them with
// -count=1, as make test does.
package house

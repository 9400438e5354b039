//go:build foreign

package gateway

func init() { callsOfEach = 20 }

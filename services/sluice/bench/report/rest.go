package report

import "bytes"

func aims(*bytes.Buffer, Results)        {}
func stages(*bytes.Buffer, Results)      {}
func incremental(*bytes.Buffer, Results) {}
func latency(*bytes.Buffer, Results)     {}
func rate(*bytes.Buffer, Results)        {}
func scaling(*bytes.Buffer, Results)     {}
func search(*bytes.Buffer, Results)      {}
func durations(*bytes.Buffer, Results)   {}

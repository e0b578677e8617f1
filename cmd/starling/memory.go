package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// A speaker is one of many things on its node and idle most of the time, so it trades a little
// processor time for memory: the heap grows by less before it is collected, and what the first
// lists or a burst of changes needed is given back to the system.
const (
	growth     = 30 // percent, the default being 100
	ballast    = 32 << 20
	firstTrim  = 5 * time.Second
	laterTrims = time.Minute
)

// limitMemory is the task that keeps memory small. GOGC in the environment overrides growth.
//
// Of a heap of a few megabytes, 30 percent is so little that it would be collected several times a
// second. The ballast counts as a part of the heap for the collector. Nothing is ever written to
// it, so it takes no memory of the system.
func limitMemory(ctx context.Context) error {
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(growth))
		defer runtime.KeepAlive(make([]byte, ballast))
	}
	for pause := time.After(firstTrim); ; pause = time.After(laterTrims) {
		select {
		case <-ctx.Done():
			return nil
		case <-pause:
			runtime.GC() // what lies in a sync.Pool goes only with the second collection
			debug.FreeOSMemory()
		}
	}
}

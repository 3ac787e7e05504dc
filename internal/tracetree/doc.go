// Package tracetree prints the trace of an agent's turn as a tree, line by line as
// the events arrive.
//
//	InvokeAgent stream ─▶ trace event ─▶ Tree.Trace ─▶ lines: step, model, action, result, times, tokens
//
// A line's time is what passed since the line before it: events are sent while the
// work goes on, so that is how long the work took.
//
// Entrance floor, beside cmd/outcrop and demo, which share it. It reads the types of
// the AWS SDK, as any client would, and calls nothing.
package tracetree

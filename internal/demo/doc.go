// Package demo is what `outcrop demo` shows: the main job of the server, done
// over the wire by an ordinary AWS SDK client.
//
//	Run ─▶ steps: list models · streamed Converse · a tool call executed ·
//	         an agent that calls a function · a knowledge base that cites
//	         each prints what came back; the first that fails ends the demo with its name
//
// Entrance floor, beside server. It imports no room: whatever it shows, a user's
// program can do too.
package demo

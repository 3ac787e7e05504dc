// Package wire is what the engines that speak OpenAI's dialect have in common:
// how the neutral form is written as chat messages, and how a stream becomes
// deltas again.
//
//	engine.Request ──Messages, Tools──▶ JSON
//	SSE ──Events──▶ chunk ──Chat──▶ engine.Delta ──Collector──▶ engine.Result
//	                         Stops, Runes: nothing but whole runes and no stop text leaves
//
// Floor 1. It opens no connection and knows no address.
package wire

// Package http calls functions that live elsewhere.
//
//	Invocation ──▶ Endpoint   POST {base}/2015-03-31/functions/{arn}/invocations, signed
//	           └─▶ Hook       POST {url} with the event, any HTTP server in a function's place
//	Result     ◀── status, X-Amz-Function-Error, X-Amz-Log-Result, body
//
// An Endpoint speaks Lambda's Invoke operation to any server that has it: AWS, a
// local stand-in, another Outcrop. A Hook is for people who debug a function in
// their editor. Nothing is retried here: an event whose answer was lost may have
// been worked on.
//
// Floor 1: adapters of the lambda port. Signing is the caller's, as the wire's
// packages stand above.
package http

// Package gateway is the way of a request through the house, as one ordered
// list of named steps: see steps in exchange.go.
//
//	HTTP ─▶ route ─▶ receive ─▶ authenticate ─▶ decode ─▶ authorise ─▶ throttle ─▶ call ─▶ encode ─▶ observe
//	          │                     │              │                                 │        │
//	    escaped path            Authenticator   restjson                      front desk   restjson, eventstream
//
// It routes on the escaped path and never normalises it, answers every error
// in the form the service model has for it, lets a retry of a call join the
// call that is still running (attach.go), and sends event streams frame by
// frame (stream.go).
//
// Floor 3. It knows no room: front desks are values that implement the
// generated API interfaces. It never decides who may do what; Authorizer does.
package gateway

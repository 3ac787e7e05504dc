// Package apierr holds the one error type that operations return to the edge.
//
// Kinds are a closed list: the sixteen exception names of the four Bedrock
// service models, and two that the edge itself answers. The HTTP status is not
// here on purpose: the same kind has different statuses in different services
// (ConflictException is 400 in bedrock and 409 in bedrock-agent), so the gateway
// looks it up in the generated tables.
//
// Floor 0. It never logs and never formats for the wire.
package apierr

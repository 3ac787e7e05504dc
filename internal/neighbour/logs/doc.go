// Package logs is the CloudWatch Logs face: it speaks the service's API over the
// house's logs.
//
//	neighbour ── Refine: groups by name, ARN or identifier, tags ──▶ Authorizer
//	          ── *logs.PutLogEventsInput ──▶ Face ──▶ logs.Service
//
// Entrance floor. It keeps no state.
package logs

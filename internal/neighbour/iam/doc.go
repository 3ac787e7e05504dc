// Package iam is the face of Identity and Access Management: users, keys, groups,
// roles, policies, and what they amount to.
//
//	neighbour frame ── *CreateRoleInput ──▶ Face ── iam.Identity (writes), iam.Snapshot (reads)
//
//	users.go keys.go groups.go roles.go managed.go   one noun each
//	inline.go attach.go tags.go                      what users, groups and roles share
//	simulate.go details.go                           SimulatePrincipalPolicy, GetAccountAuthorizationDetails
//	fault.go page.go refine.go                       errors, markers, questions to the authoriser
//
// Policy documents leave percent-encoded, as IAM's do; lists are pages with
// Marker and IsTruncated. What a caller leaves out (UserName) is himself.
//
// Entrance floor. It keeps no state; rules, limits and AWS's texts are the house
// service's, internal/iam.
package iam

// Package schema reads what users write about the actions of an agent: OpenAPI
// documents and function schemas.
//
//	JSON ──▶ encoding/json ──┐
//	                         ├──▶ tree in document order ──▶ walk ──▶ []plan.Action
//	YAML ──▶ tokens, bounds ─┘                                │
//	                                                          └──▶ every problem with its path
//	functionSchema ─────────────────────────────────────────▶ []plan.Action
//
// Accepted is OpenAPI 3.0.x, and 3.1.x as far as it looks like 3.0. References are
// local; a schema of an input that contains itself is refused, because a model is
// shown the whole of it. allOf becomes one schema, oneOf and anyOf are passed on.
// Actions stand in the order of the document, parameters of a function in the order
// of their names.
//
// All problems of a document come in one ValidationException, in the form that AWS
// writes them. A sound schema that is only too large is a
// ServiceQuotaExceededException. A response without content, a parameter in a
// cookie and an operation without an operationId are accepted; how long the name of a
// tool becomes is the business of who names it.
//
// Documents come from strangers, so size, nesting, names of keys, aliases and
// resolved references are bounded before or while they are read, and what the YAML
// parser panics about is a problem of the document.
//
// Floor 4, part of agent. It imports only plan of its room, reads no file, follows no
// reference out of its document and never changes what the user wrote.
package schema

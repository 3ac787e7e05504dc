// Package catalog knows what can be invoked: the foundation models of AWS with
// their true facts, inference profiles, who has access to which model, how old
// a model is, and which local model answers for it.
//
//	modelId ──▶ Resolve ──▶ owner of that kind of name (provisioned, custom, prompt …)
//	               │
//	               ├─ profile ─▶ foundation model ─▶ table ─▶ pattern rules
//	               ├─ Region, on-demand, life cycle, access
//	               └─ alias ─▶ default of the kind ─▶ Target (local model, family, limits)
//
// A model is data: table_*.go hold the entries, rules.go the patterns that give
// an id nobody has listed yet the facts of its family, and a user may add to both. The operations of the bedrock service on these things are methods of
// FoundationModels, ModelAccess and InferenceProfiles.
//
// Floor 4. It never runs a model and never reads a request's body; it does not
// know which room owns provisioned models, custom models, prompts or routers,
// only the Owner functions it was given.
package catalog

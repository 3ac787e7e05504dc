// Package throughput keeps provisioned throughput: model units that an account has
// bought of a model, under a name and an ARN that can be invoked.
//
//	Create ─▶ Creating ─(transition)▶ InService ⇄ Updating        row: provisioned-model
//	                                      │
//	InvokeModel, Converse ─▶ catalog ─▶ Owner ─▶ base model's target, with this ARN
//
// The units are counted against the account's two quotas, as on AWS; they do not
// slow or speed the local model, and nothing is billed. A state that passes by
// itself is computed from the row's time, so that a restart cannot strand it.
//
// Floor 4. It resolves no model by itself (catalog does) and runs nothing.
package throughput

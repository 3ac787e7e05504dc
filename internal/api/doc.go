// Package api holds the vocabulary of the generated service packages beside it:
// what a shape, a member, an operation and an event stream are.
//
//	cmd/apigen/models/*.json ── go generate ──▶ api/{bedrock,bedrockruntime,bedrockagent,bedrockagentruntime}
//	                                            api/{sts,iam,kms,lambda,logs,secretsmanager,s3vectors}, of these the operations served
//	                                                types · Shapes · Service (routes, exceptions, IAM) · API interface
//	restjson, queryxml and awsjson read Shapes, gateway and neighbour read Service,
//	rooms and faces implement API
//
// How model types become Go types is written at Shape. Floor 0. It does not
// decode, encode, validate or route: it only describes.
package api

//go:generate go run ../../cmd/apigen

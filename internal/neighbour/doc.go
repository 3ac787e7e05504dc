// Package neighbour serves the other AWS services that Bedrock programs call, on
// the same port: the frame in which their faces stand.
//
//	gateway ── service of the credential scope ──▶ neighbour.New(…)[service]
//
//	exchange   receive · authenticate · find the operation · decode · authorise ·
//	           validate · call · encode · observe        one list, exchange.go
//	wire       the protocol's own part of it             query.go, json.go, rest.go
//	face       answers the operations: implements the generated API of its service
//	           in internal/neighbour/{sts,iam,…} over a house service
//
// A face is a Go value with the methods of its service's API interface; it embeds
// the generated Unimplemented, returns *apierr.Error whose Kind is an exception
// of its service model (NoSuchEntity, NotFoundException) or one of the common
// kinds, finds the request in call.From(ctx) and its caller in
// call.From(ctx).Caller. Where the tables cannot say which resource or condition
// key an operation is about, it also implements Refiner; where resources have
// policies of their own, Authority. A service whose wire is written by hand (S3)
// is a Raw face and works on the Exchange itself.
//
// A service can be handed to another endpoint instead: proxy.go says on what terms.
//
// Entrance floor, beside service. It keeps no state and knows no operation by name.
package neighbour

// Package restjson is the one codec between HTTP messages and the generated Go
// types of the four services.
//
//	labels · query · headers · body ──DecodeRequest──▶ *XInput, or one error that
//	                                  (fill and check in one pass)  names every broken constraint
//	*XOutput ──EncodeResponse──▶ status · headers · body
//	*apierr.Error ──EncodeError──▶ status · x-amzn-ErrorType · {"message":…}
//	event ⇄ DecodeEvent, EncodeEvent, EncodeExceptionEvent: names and payloads of
//	                                  event-stream messages; their frames are eventstream's
//
// It interprets the shape tables of package api. For each shape a plan (offset,
// kind and checks of every field) is built at first use and kept; after that a
// request costs one walk over its bytes. Numbers, patterns and texts of the
// checks come from the tables alone, so a regenerated model needs no change here.
//
// Floor 3: it imports api and apierr. It never routes, authenticates or calls an
// operation, and it knows no operation by name.
package restjson

// Package queryxml is the codec of AWS's query protocol, which STS and IAM speak:
// a form in, XML out.
//
//	GET ?…  ┐
//	POST …  ┴─Parse─▶ Form ──Decode──▶ *XInput, or one error that names every broken constraint
//	*XOutput ──Encode──▶ <XResponse xmlns><XResult>…</XResult><ResponseMetadata>…
//	*apierr.Error ──FaultOf──▶ code, status ──EncodeFault──▶ <ErrorResponse>…
//
// A form's dotted names (Tags.member.1.Key) are gathered into the tree that the
// shape tables expect and handed to restjson, so that the three protocols share
// one reader of values and one set of validation texts. Answers are written
// straight from the Go structs.
//
// Floor 3: it imports api, apierr and restjson. It never routes, authenticates or
// calls an operation, and knows no operation by name.
package queryxml

// Package awsjson is the codec of the awsJson protocols 1.0 and 1.1, which KMS,
// CloudWatch Logs and Secrets Manager speak: the operation in X-Amz-Target, one
// JSON object each way.
//
//	X-Amz-Target ──Target──▶ operation · body ──Decode──▶ *XInput, or one error that
//	                                                     names every broken constraint
//	*XOutput ──Encode──▶ {…}, timestamps in seconds since 1970
//	*apierr.Error ──FaultOf──▶ code, status ──EncodeFault──▶ {"__type":…,"message":…}
//
// The walk over the JSON is restjson's; what differs between the protocols is here.
//
// Floor 3: it imports api, apierr and restjson. It never routes, authenticates or
// calls an operation, and knows no operation by name.
package awsjson

// Package picture reads the images and masks that bodies carry, and brings the
// images that an engine paints to what the families promise.
//
//	base64 in a body ──Read──▶ limits, then decoding ──▶ Picture ──Inside──▶ mask: white is repainted
//	engine's PNG ──Over──▶ kept points put back ──Exact──▶ size put right ──▶ answer
//
// Nothing is decoded before its head has shown that it is within the limits.
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package picture

// Package picturetest makes the pictures of the image families' tests and paints
// their calls.
//
//	test ──▶ PNG or JPEG in base64 ──▶ codec ──▶ Run: the script engine ──▶ answered images, decoded
//
// Floor 4, part of the inference room, for tests only. It judges nothing.
package picturetest

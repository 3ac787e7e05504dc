// Package eventstream writes and reads the frames of
// application/vnd.amazon.eventstream.
//
//	┌ total u32 ┬ headers u32 ┬ CRC32 of the 8 bytes ┬ headers ┬ payload ┬ CRC32 of all before ┐
//	└───────────┴─────────────┴──────────────────────┴─────────┴─────────┴─────────────────────┘
//	a header:   name length u8 · name · type u8 · value (u16 length before strings and bytes)
//
//	out:  AppendEvent / AppendException, or BeginEvent … payload … Finish   (no allocation, the caller's buffer)
//	in:   io.Reader → Decoder.Next → Message, or Parse for bytes at hand
//
// All numbers are big endian, both checksums are CRC-32 (IEEE). Limits: 128 KiB
// of headers, 16 MiB of payload.
//
// Floor 3. It holds no connection, flushes nothing, signs nothing (sigv4 does)
// and knows no event of any service.
package eventstream

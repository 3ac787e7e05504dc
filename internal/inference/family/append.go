package family

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// The functions of this file append JSON to a buffer, so that a chunk of a
// stream costs no allocation. They write what encoding/json writes without its
// HTML escapes.

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string; broken UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[start:i]...)
			b = append(b, "\ufffd"...)
			i++
			start = i
			continue
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// AppendInt appends n.
func AppendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

// AppendNullable appends s as a JSON string, null when it is empty.
func AppendNullable(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return AppendString(b, s)
}

// AppendRaw appends a JSON text, {} when it is empty or not valid.
func AppendRaw(b []byte, text json.RawMessage) []byte {
	if len(text) == 0 || !json.Valid(text) {
		return append(b, "{}"...)
	}
	return append(b, text...)
}

// AppendMetrics appends the member that the last chunk of every family carries,
// without a comma before it: "amazon-bedrock-invocationMetrics":{…}. The cache
// counts stand there only when there are any.
func AppendMetrics(b []byte, m Metrics) []byte {
	b = append(b, `"amazon-bedrock-invocationMetrics":{"inputTokenCount":`...)
	b = AppendInt(b, m.InputTokens)
	b = append(b, `,"outputTokenCount":`...)
	b = AppendInt(b, m.OutputTokens)
	b = append(b, `,"invocationLatency":`...)
	b = strconv.AppendInt(b, Milliseconds(m.Latency), 10)
	b = append(b, `,"firstByteLatency":`...)
	b = strconv.AppendInt(b, Milliseconds(m.FirstByte), 10)
	if m.CacheRead > 0 || m.CacheWrite > 0 {
		b = append(b, `,"cacheReadInputTokenCount":`...)
		b = AppendInt(b, m.CacheRead)
		b = append(b, `,"cacheWriteInputTokenCount":`...)
		b = AppendInt(b, m.CacheWrite)
	}
	return append(b, '}')
}

// Milliseconds rounds a duration up to whole milliseconds, so that work that was
// done never shows as 0.
func Milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

package restjson

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// wordFloat reads the three numbers that JSON cannot write.
func wordFloat(s string) (float64, bool) {
	switch s {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	return 0, false
}

// appendFloat writes the shortest form that reads back as f. Whole numbers keep
// their ".0", so that clients whose language tells 1 from 1.0 see a float.
func appendFloat(buf []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(buf, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(buf, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(buf, `"-Infinity"`...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(buf, f, 'e', -1, 64)
	}
	start := len(buf)
	buf = strconv.AppendFloat(buf, f, 'f', -1, 64)
	for _, c := range buf[start:] {
		if c == '.' {
			return buf
		}
	}
	return append(buf, '.', '0')
}

// The range of years that every client's date type can hold.
var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
)

// parseTime reads ISO 8601 with a zone, seconds since 1970, or an HTTP date.
func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		if t, err = time.Parse(time.RFC1123, s); err != nil {
			var ok bool
			if t, ok = parseEpoch(s); !ok {
				return time.Time{}, false
			}
		}
	}
	t = t.UTC()
	if t.Before(firstTime) || t.After(lastTime) {
		return time.Time{}, false
	}
	return t, true
}

func parseEpoch(s string) (time.Time, bool) {
	if strings.ContainsAny(s, "xXpP_iInN") { // what ParseFloat takes and JSON does not
		return time.Time{}, false
	}
	if sec, err := strconv.ParseInt(s, 10, 64); err == nil {
		if sec < firstTime.Unix() || sec > lastTime.Unix() {
			return time.Time{}, false
		}
		return time.Unix(sec, 0), true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f < float64(firstTime.Unix()) || f > float64(lastTime.Unix()) {
		return time.Time{}, false
	}
	sec := math.Floor(f)
	// A float64 holds today's seconds to a few tenths of a microsecond.
	return time.Unix(int64(sec), int64(math.Round((f-sec)*1e6))*1000), true
}

// appendTime writes ISO 8601 in UTC with six digits of a second.
func appendTime(buf []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(buf, "2006-01-02T15:04:05.000000Z")
}

func (d *decoder) timestamp(p unsafe.Pointer, s string) bool {
	t, ok := parseTime(s)
	if !ok {
		return d.fail("Invalid timestamp %q%s: expected ISO 8601 such as 2026-01-31T12:00:00Z, or seconds since 1970", short([]byte(s)), d.at())
	}
	*(*time.Time)(p) = t
	return true
}

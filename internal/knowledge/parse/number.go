package parse

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// style of a number in a sheet, as far as reading needs it.
type numStyle uint8

const (
	plainNumber numStyle = iota
	percent
	date
	dateTime
	clockTime
)

// builtin are the number formats that files name without spelling them.
func builtin(id int) numStyle {
	switch {
	case id == 9 || id == 10:
		return percent
	case id >= 14 && id <= 17 || id >= 27 && id <= 31 || id >= 34 && id <= 36 || id >= 50 && id <= 58:
		return date
	case id >= 18 && id <= 21 || id == 32 || id == 33 || id >= 45 && id <= 47:
		return clockTime
	case id == 22:
		return dateTime
	}
	return plainNumber
}

// styleOf reads a number format as a person wrote it: "yyyy-mm-dd" or "0.0%".
func styleOf(format string) numStyle {
	format, _, _ = strings.Cut(format, ";")
	var day, clock, pct bool
	for i := 0; i < len(format); i++ {
		switch format[i] {
		case '"':
			for i++; i < len(format) && format[i] != '"'; i++ {
			}
		case '\\', '_', '*':
			i++
		case '[':
			end := strings.IndexByte(format[i:], ']')
			if end < 0 {
				return plainNumber
			}
			in := strings.ToLower(format[i+1 : i+end])
			if strings.Trim(in, "hms") == "" && in != "" {
				clock = true
			}
			i += end
		case 'y', 'Y', 'd', 'D', 'e':
			day = day || format[i] != 'e' || i+1 < len(format) && format[i+1] == 'e'
		case 'h', 'H', 's', 'S':
			clock = true
		case 'm', 'M':
			// month or minute: the neighbours say
			if strings.HasPrefix(strings.ToLower(format[i:]), "mmm") {
				day = true
			}
		case '%':
			pct = true
		case 'G', 'g':
			if strings.HasPrefix(strings.ToLower(format[i:]), "general") {
				return plainNumber
			}
		}
	}
	switch {
	case day && clock:
		return dateTime
	case day:
		return date
	case clock:
		return clockTime
	case pct:
		return percent
	}
	return plainNumber
}

// show writes a number as a sheet of its style does, in the one form that sorts
// and is the same in every country.
func (s numStyle) show(v float64, date1904 bool) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	switch s {
	case percent:
		return trimNumber(v*100) + "%"
	case date, dateTime, clockTime:
		if v < 0 || v > 2958466 { // the year 10000
			return trimNumber(v)
		}
		epoch := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
		switch {
		case date1904:
			epoch = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
		case v < 60: // Excel counts a 29 February 1900
			epoch = epoch.AddDate(0, 0, 1)
		}
		day := math.Floor(v)
		at := epoch.AddDate(0, 0, int(day)).Add(time.Duration(math.Round((v-day)*86400)) * time.Second)
		switch {
		case s == date && v == day:
			return at.Format("2006-01-02")
		case s == clockTime && v < 1:
			return at.Format("15:04:05")
		case s == clockTime:
			hours := int(v * 24)
			return strconv.Itoa(hours) + at.Format(":04:05")
		case at.Second() == 0:
			return at.Format("2006-01-02 15:04")
		}
		return at.Format("2006-01-02 15:04:05")
	default:
		return trimNumber(v)
	}
}

// trimNumber writes at most 15 digits, all that a cell has.
func trimNumber(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatInt(int64(v), 10)
	}
	if a := math.Abs(v); a >= 1e15 || a < 1e-5 {
		return strconv.FormatFloat(v, 'G', -1, 64)
	}
	s := strconv.FormatFloat(v, 'g', 15, 64)
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	return s
}

package parse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"github.com/richardlehane/mscfb"
	"golang.org/x/text/encoding/charmap"
)

// readCompound opens the container that Office used until 2007, and in which newer
// files lie when they are encrypted.
func readCompound(b *builder, data []byte) (Format, *Error) {
	file, err := mscfb.New(bytes.NewReader(data))
	if err != nil {
		return "", damaged("its container cannot be opened")
	}
	streams := map[string][]byte{}
	total := 0
	for n := 0; ; n++ {
		entry, err := file.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || n > maxEntries {
			break // what was found may be enough
		}
		switch entry.Name {
		case "EncryptedPackage":
			return "", fail(Password, "it is protected by a password")
		case "DRMEncryptedDataSpace", "DRMEncryptedTransform", "\tDRMContent":
			return "", fail(Encrypted, "it is encrypted by rights management")
		case "PowerPoint Document":
			return "", fail(Unsupported, "its content is a presentation, which is not supported")
		case "WordDocument", "0Table", "1Table", "Workbook", "Book", "\x05SummaryInformation":
		default:
			continue
		}
		if len(entry.Path) > 0 || streams[entry.Name] != nil {
			continue // of something that is embedded
		}
		s, err := io.ReadAll(io.LimitReader(entry, MaxFile+1))
		if total += len(s); total > 2*MaxFile {
			return "", fail(Bomb, "its container holds more than it can")
		}
		if err != nil && len(s) == 0 {
			return "", damaged("a stream of its container cannot be read")
		}
		streams[entry.Name] = s
	}
	b.title = summaryTitle(streams["\x05SummaryInformation"])
	switch {
	case streams["WordDocument"] != nil:
		return Word97, readWord97(b, streams)
	case streams["Workbook"] != nil:
		return Excel97, readExcel97(b, streams["Workbook"])
	case streams["Book"] != nil:
		return Excel97, readExcel97(b, streams["Book"])
	}
	return "", fail(Unsupported, "its content is neither a Word nor an Excel file")
}

// summaryTitle reads the title out of a file's properties; "" when there is none.
func summaryTitle(s []byte) string {
	le := binary.LittleEndian
	if len(s) < 48 || le.Uint16(s) != 0xfffe {
		return ""
	}
	at := int(le.Uint32(s[44:]))
	if at < 48 || at > len(s)-8 {
		return ""
	}
	set := s[at:]
	n := int(le.Uint32(set[4:]))
	codepage, title := 1252, ""
	for i := range min(n, 64) {
		if 16+8*i > len(set) {
			break
		}
		id, off := le.Uint32(set[8+8*i:]), int(le.Uint32(set[12+8*i:]))
		if off < 0 || off > len(set)-8 {
			continue
		}
		v := set[off:]
		switch {
		case id == 1 && le.Uint32(v) == 2:
			codepage = int(le.Uint16(v[4:]))
		case id == 2 && le.Uint32(v) == 30:
			size := int(le.Uint32(v[4:]))
			if size < 0 || size > len(v)-8 {
				continue
			}
			title = strings.TrimRight(string(v[8:8+size]), "\x00")
		}
	}
	if codepage == 65001 {
		return title
	}
	for i := range len(title) {
		if title[i] >= 0x80 && codepage != 1252 {
			return "" // one of many code pages; a wrong title is worse than none
		}
	}
	out, err := charmap.Windows1252.NewDecoder().String(title)
	if err != nil {
		return ""
	}
	return out
}

package family

import (
	"bytes"
	"errors"
	"image"
	_ "image/gif"  // formats that SniffImage knows
	_ "image/jpeg" //
	_ "image/png"  //
	"strings"

	_ "golang.org/x/image/webp" //

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// ImageInfo is what the head of an image file says.
type ImageInfo struct {
	MediaType     string // image/png, image/jpeg, image/gif or image/webp
	Width, Height int
}

// SniffImage reads the head of an image; ok is false when it is none of the four
// formats that the service takes.
func SniffImage(data []byte) (info ImageInfo, ok bool) {
	c, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return ImageInfo{}, false
	}
	return ImageInfo{MediaType: "image/" + format, Width: c.Width, Height: c.Height}, true
}

// Document renders a text document as the part of a prompt that holds it. title
// and context may be empty.
func Document(title, context, text string) string {
	var b strings.Builder
	b.WriteString("<document")
	if title != "" {
		b.WriteString(` name="` + strings.ReplaceAll(title, `"`, "'") + `"`)
	}
	b.WriteString(">\n")
	if context != "" {
		b.WriteString("<context>" + context + "</context>\n")
	}
	b.WriteString(strings.TrimRight(text, "\n"))
	b.WriteString("\n</document>\n")
	return b.String()
}

// ErrService is the cause of errors that Converse finds before the model is
// asked, whose texts are therefore not presented as the model's own.
var ErrService = errors.New("checked by the service")

// TooManyTokens is Converse's error for more output tokens than the model gives.
func TooManyTokens(limit int) error {
	return apierr.Wrap(apierr.Validation, ErrService,
		"The maximum tokens you requested exceeds the model limit of %d. Try again with a maximum tokens value that is lower than %d.", limit, limit)
}

// NoField is Converse's error for a field that the model has no place for.
func NoField(name string) error {
	return apierr.Wrap(apierr.Validation, ErrService,
		"This model doesn't support the %s field. Remove %s and try again.", name, name)
}

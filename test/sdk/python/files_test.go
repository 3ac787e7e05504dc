package python

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"testing"
)

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// blank is a PNG file without a picture in it.
func blank(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewRGBA(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// parse reads the line of the impatient client.
func parse(line string, asked, ids *int) (int, error) {
	return fmt.Sscanf(line, "asked %d ids %d", asked, ids)
}

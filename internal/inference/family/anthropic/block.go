package anthropic

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

const (
	maxImageBase64 = 5 << 20 // bytes of the base64 text; 3.75 MB of image
	maxImageSide   = 8000
)

var textBlock = family.AnObject(
	family.Required("type", family.AString().OneOf("text")),
	family.Required("text", family.AString()),
	cacheControl,
	family.Optional("citations", family.Anything()),
)

var source = family.AnObject(
	family.Required("type", family.AString().OneOf("base64")),
	family.Required("media_type", family.AString().OneOf("image/jpeg", "image/png", "image/gif", "image/webp")),
	family.Required("data", family.AString()),
)

// blockSchemas says which blocks there are and what each must hold.
var blockSchemas = map[string]*family.Schema{
	"text": textBlock,
	"image": family.AnObject(
		family.Required("type", family.AString()),
		family.Required("source", source),
		cacheControl,
	),
	"document": family.AnObject(
		family.Required("type", family.AString()),
		family.Required("source", family.AnObject(family.Required("type", family.AString().OneOf("text", "base64", "content"))).Open()),
		family.Optional("title", family.AString().OrNull()),
		family.Optional("context", family.AString().OrNull()),
		family.Optional("citations", family.Anything()),
		cacheControl,
	),
	"tool_use": family.AnObject(
		family.Required("type", family.AString()),
		family.Required("id", family.AString().Size(1, -1)),
		family.Required("name", family.AString().Size(1, -1)),
		family.Required("input", family.AnObject().Open()),
		cacheControl,
	),
	"tool_result": family.AnObject(
		family.Required("type", family.AString()),
		family.Required("tool_use_id", family.AString().Size(1, -1)),
		family.Optional("content", family.Either(family.AString(), family.AnArray(family.AnObject(
			family.Required("type", family.AString()),
		).Open()))),
		family.Optional("is_error", family.ABoolean()),
		cacheControl,
	),
	"thinking": family.AnObject(
		family.Required("type", family.AString()),
		family.Required("thinking", family.AString()),
		family.Optional("signature", family.AString()),
	),
	"redacted_thinking": family.AnObject(
		family.Required("type", family.AString()),
		family.Required("data", family.AString()),
	),
}

var toolSchema = family.AnObject(
	family.Required("name", family.AString().Size(1, 128).Matching(`^[a-zA-Z0-9_-]{1,128}$`)),
	family.Required("input_schema", family.AnObject().Open()),
	family.Optional("description", family.AString()),
	family.Optional("type", family.AString()),
	family.Optional("strict", family.ABoolean()),
	cacheControl,
)

func itoa(n int) string { return strconv.Itoa(n) }

// at moves the violations of a part that was checked by itself to where it stands.
func at(err error, pointer string) error {
	var e *apierr.Error
	if errors.As(err, &e) {
		moved := *e
		moved.Message = strings.ReplaceAll(e.Message, "#", pointer)
		return &moved
	}
	return err
}

// decodeContent turns a message's content into parts. names learns the tools of
// the calls it meets, so that their results can say which tool they are of.
func decodeContent(v *family.Value, message int, role engine.Role, names map[string]string) ([]engine.Part, error) {
	if v.Kind == family.String {
		text := v.Text()
		if text == "" {
			return nil, nil
		}
		return []engine.Part{{Text: text}}, nil
	}
	blocks := v.Items()
	parts := make([]engine.Part, 0, len(blocks))
	for i := range blocks {
		b := &blocks[i]
		where := "messages." + itoa(message) + ".content." + itoa(i)
		pointer := "#/messages/" + itoa(message) + "/content/" + itoa(i)
		part, err := decodeBlock(b, where, pointer, role, names)
		if err != nil {
			return nil, err
		}
		if part != nil {
			parts = append(parts, *part)
		}
		if c := b.Get("cache_control"); c.Kind == family.Object {
			parts = append(parts, engine.Part{CachePoint: true})
		}
	}
	return parts, nil
}

func decodeBlock(b *family.Value, where, pointer string, role engine.Role, names map[string]string) (*engine.Part, error) {
	kind := b.Get("type").Text()
	schema := blockSchemas[kind]
	if schema == nil {
		return nil, family.Malformed(pointer + "/type: " + kind + " is not a valid enum value")
	}
	if found := schema.Violations(nil, pointer, b); len(found) > 0 {
		return nil, family.Malformed(found...)
	}
	switch kind {
	case "image", "document", "tool_result":
		if role == engine.Assistant {
			return nil, bad("%s: %s blocks may only stand in \"user\" messages", where, kind)
		}
	case "tool_use", "thinking", "redacted_thinking":
		if role == engine.User {
			return nil, bad("%s: %s blocks may only stand in \"assistant\" messages", where, kind)
		}
	}
	switch kind {
	case "text":
		text := b.Get("text").Text()
		if text == "" {
			return nil, bad("messages: text content blocks must be non-empty")
		}
		return &engine.Part{Text: text}, nil
	case "image":
		blob, err := decodeImage(b.Get("source"), where+".image.source.base64")
		if err != nil {
			return nil, err
		}
		return &engine.Part{Image: blob}, nil
	case "document":
		return decodeDocument(b, where)
	case "tool_use":
		id, name := b.Get("id").Text(), b.Get("name").Text()
		names[id] = name
		return &engine.Part{ToolCall: &engine.ToolCall{ID: id, Name: name, Arguments: json.RawMessage(b.Get("input").Raw)}}, nil
	case "tool_result":
		return decodeToolResult(b, where, pointer, names)
	case "thinking":
		return &engine.Part{Reasoning: &engine.Reasoning{Text: b.Get("thinking").Text(), Signature: b.Get("signature").Text()}}, nil
	}
	return nil, nil // redacted_thinking says nothing that a model could read
}

func decodeImage(src *family.Value, where string) (*engine.Blob, error) {
	if n := len(src.Get("data").Raw) - 2; n > maxImageBase64 {
		return nil, bad("%s: image exceeds 5 MB maximum: %d bytes > %d bytes", where, n, maxImageBase64)
	}
	data, ok := src.Get("data").Base64()
	if !ok {
		return nil, bad("%s.data: Invalid base64 data", where)
	}
	info, ok := family.SniffImage(data)
	if !ok {
		return nil, bad("%s.data: Could not process image", where)
	}
	if info.Width > maxImageSide || info.Height > maxImageSide {
		return nil, bad("%s.data: At least one of the image dimensions exceed max allowed size: %d pixels", where, maxImageSide)
	}
	// The bytes decide, not media_type: programs name every image a JPEG.
	return &engine.Blob{MediaType: info.MediaType, Data: data}, nil
}

func decodeDocument(b *family.Value, where string) (*engine.Part, error) {
	src := b.Get("source")
	var text string
	switch src.Get("type").Text() {
	case "text":
		text = src.Get("data").Text()
	case "content":
		content := src.Get("content")
		text = content.Text()
		blocks := content.Items()
		for i := range blocks {
			text += blocks[i].Get("text").Text() + "\n"
		}
	default:
		return nil, bad("%s.document.source.base64: documents of type %s are not built yet in Outcrop; they come with knowledge bases. Send the document's text as a source of type \"text\".",
			where, src.Get("media_type").Text())
	}
	return &engine.Part{Text: family.Document(b.Get("title").Text(), b.Get("context").Text(), text)}, nil
}

func decodeToolResult(b *family.Value, where, pointer string, names map[string]string) (*engine.Part, error) {
	id := b.Get("tool_use_id").Text()
	result := &engine.ToolResult{ID: id, Name: names[id], Error: b.Get("is_error").Bool()}
	content := b.Get("content")
	if content.Kind == family.String {
		result.Parts = []engine.Part{{Text: content.Text()}}
		return &engine.Part{ToolResult: result}, nil
	}
	blocks := content.Items()
	for i := range blocks {
		sub := &blocks[i]
		switch sub.Get("type").Text() {
		case "text", "image", "document":
		default:
			return nil, family.Malformed(pointer + "/content/" + itoa(i) + "/type: " + sub.Get("type").Text() + " is not a valid enum value")
		}
		if sub.Get("type").Text() == "text" && sub.Get("text").Kind == family.String && sub.Get("text").Text() == "" {
			continue // tools answer nothing at times
		}
		part, err := decodeBlock(sub, where+".tool_result.content."+itoa(i), pointer+"/content/"+itoa(i), engine.User, names)
		if err != nil {
			return nil, err
		}
		result.Parts = append(result.Parts, *part)
	}
	return &engine.Part{ToolResult: result}, nil
}

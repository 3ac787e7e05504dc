package inference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

const (
	maxImages    = 20
	maxDocuments = 5
	maxImageSize = 3_932_160 // 3.75 MB
	maxImageSide = 8000
	maxDocSize   = 4_718_592 // 4.5 MB
)

// reader turns the messages of Converse into the neutral form and refuses what
// cannot stand in them.
type reader struct {
	w         *work
	names     map[string]string // tool of each call, by id
	images    int
	documents int
}

// turns reads all messages after their order was checked.
func (rd *reader) turns(messages []bedrockruntime.Message) ([]engine.Message, error) {
	out := make([]engine.Message, len(messages))
	for i := range messages {
		m := &messages[i]
		parts := make([]engine.Part, 0, len(m.Content))
		documents, texts := 0, 0
		for j := range m.Content {
			b := &m.Content[j]
			if b.Document != nil {
				documents++
			}
			if b.Text != nil {
				texts++
			}
			part, err := rd.block(b, "messages."+strconv.Itoa(i)+".content."+strconv.Itoa(j))
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		}
		if documents > 0 && texts == 0 {
			return nil, invalid("A text block must be included when using documents.")
		}
		out[i] = engine.Message{Role: engine.Role(m.Role), Parts: parts}
	}
	if rd.images > maxImages {
		return nil, invalid("The request has %d images, more than the %d that are allowed. Remove images and try again.", rd.images, maxImages)
	}
	if rd.documents > maxDocuments {
		return nil, invalid("The request has %d documents, more than the %d that are allowed. Remove documents and try again.", rd.documents, maxDocuments)
	}
	return out, nil
}

func (rd *reader) block(b *bedrockruntime.ContentBlock, where string) (engine.Part, error) {
	switch {
	case b.Text != nil:
		return engine.Part{Text: *b.Text}, nil
	case b.Image != nil:
		return rd.image(string(b.Image.Format), b.Image.Source, where)
	case b.Document != nil:
		return rd.document(b.Document, where)
	case b.ToolUse != nil:
		return rd.toolUse(b.ToolUse, where)
	case b.ToolResult != nil:
		return rd.toolResult(b.ToolResult, where)
	case b.ReasoningContent != nil:
		r := b.ReasoningContent.ReasoningText
		if r == nil { // redacted: nothing that a model could read
			return engine.Part{Reasoning: &engine.Reasoning{}}, nil
		}
		return engine.Part{Reasoning: &engine.Reasoning{Text: r.Text, Signature: optional.Value(r.Signature)}}, nil
	case b.CachePoint != nil:
		return engine.Part{CachePoint: true}, nil
	case b.GuardContent != nil:
		if t := b.GuardContent.Text; t != nil {
			return engine.Part{Text: t.Text}, nil
		}
		if g := b.GuardContent.Image; g != nil && g.Source != nil {
			return rd.image(string(g.Format), &bedrockruntime.ImageSource{Bytes: g.Source.Bytes}, where)
		}
		return engine.Part{}, invalid("The guardContent block at %s holds neither text nor an image.", where)
	case b.CitationsContent != nil:
		var text strings.Builder
		for _, c := range b.CitationsContent.Content {
			text.WriteString(optional.Value(c.Text))
		}
		return engine.Part{Text: text.String()}, nil
	case b.SearchResult != nil:
		return engine.Part{Text: searchResult(b.SearchResult)}, nil
	case b.Video != nil:
		return engine.Part{}, unsupportedBlock("video")
	case b.Audio != nil:
		return engine.Part{}, unsupportedBlock("audio")
	}
	return engine.Part{}, invalid("The ContentBlock object at %s is empty. Set one of its fields and try again.", where)
}

func unsupportedBlock(kind string) error {
	return invalid("This model doesn't support the %s content block that you provided. Update the content block and try again.", kind)
}

func (rd *reader) image(format string, src *bedrockruntime.ImageSource, where string) (engine.Part, error) {
	if src == nil || src.Bytes == nil {
		if src != nil && src.S3Location != nil {
			return engine.Part{}, noS3(where + ".image.source")
		}
		return engine.Part{}, invalid("The image block at %s has no bytes.", where)
	}
	rd.images++
	if len(src.Bytes) > maxImageSize {
		return engine.Part{}, invalid("The image at %s is %d bytes, more than the %d that are allowed. Make it smaller and try again.", where, len(src.Bytes), maxImageSize)
	}
	// What a blind model cannot see is refused before what is broken.
	if !rd.w.sees() {
		return engine.Part{}, rd.w.blind()
	}
	info, ok := family.SniffImage(src.Bytes)
	if !ok {
		return engine.Part{}, invalid("The image at %s is not a readable %s file. Could not process image.", where, format)
	}
	if info.Width > maxImageSide || info.Height > maxImageSide {
		return engine.Part{}, invalid("The image at %s is %dx%d pixels; neither side may exceed %d.", where, info.Width, info.Height, maxImageSide)
	}
	return engine.Part{Image: &engine.Blob{MediaType: info.MediaType, Data: src.Bytes}}, nil
}

func noS3(where string) error {
	return invalid("%s: sources in S3 are not built yet in Outcrop; send the bytes themselves.", where)
}

// documentName is what the service allows as a name; it stands in the prompt.
var documentName = regexp.MustCompile(`^[a-zA-Z0-9\s\-()\[\]]+$`)

func (rd *reader) document(d *bedrockruntime.DocumentBlock, where string) (engine.Part, error) {
	rd.documents++
	if !documentName.MatchString(d.Name) || strings.Contains(d.Name, "  ") {
		return engine.Part{}, invalid("The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square brackets. The name can't contain more than one consecutive whitespace character.")
	}
	text, err := documentText(d, where)
	if err != nil {
		return engine.Part{}, err
	}
	return engine.Part{Text: family.Document(d.Name, optional.Value(d.Context), text)}, nil
}

func documentText(d *bedrockruntime.DocumentBlock, where string) (string, error) {
	src := d.Source
	switch {
	case src == nil:
		return "", invalid("The document block at %s has no source.", where)
	case src.S3Location != nil:
		return "", noS3(where + ".document.source")
	case src.Text != nil:
		return *src.Text, nil
	case src.Content != nil:
		var b strings.Builder
		for _, c := range src.Content {
			b.WriteString(optional.Value(c.Text))
			b.WriteByte('\n')
		}
		return b.String(), nil
	}
	if len(src.Bytes) == 0 {
		return "", invalid("The document at %s is empty.", where)
	}
	if len(src.Bytes) > maxDocSize {
		return "", invalid("The document at %s is %d bytes, more than the %d that are allowed.", where, len(src.Bytes), maxDocSize)
	}
	switch d.Format {
	case "txt", "md", "csv", "":
	case "html":
		return htmlText(src.Bytes), nil
	default:
		return "", invalid("The document at %s is of format %s, which is not built yet in Outcrop: it comes with knowledge bases. Send it as txt, md, csv or html.", where, d.Format)
	}
	if !utf8.Valid(src.Bytes) {
		return "", invalid("The document at %s is not text in UTF-8.", where)
	}
	return string(bytes.TrimPrefix(src.Bytes, []byte("\ufeff"))), nil
}

var (
	htmlHidden = regexp.MustCompile(`(?is)<(script|style|head)\b.*?</(script|style|head)\s*>|<!--.*?-->`)
	htmlBreak  = regexp.MustCompile(`(?i)</?(p|div|br|li|tr|h[1-6]|table|section|article|ul|ol)\b[^>]*>`)
	htmlTag    = regexp.MustCompile(`<[^>]*>`)
	blankLines = regexp.MustCompile(`[ \t]*\n\s*\n\s*`)
)

// htmlText is the readable text of an HTML page, good enough for a prompt.
func htmlText(page []byte) string {
	page = bytes.ToValidUTF8(page, []byte("\ufffd"))
	page = htmlHidden.ReplaceAll(page, nil)
	page = htmlBreak.ReplaceAll(page, []byte("\n"))
	page = htmlTag.ReplaceAll(page, nil)
	return strings.TrimSpace(blankLines.ReplaceAllString(html.UnescapeString(string(page)), "\n\n"))
}

func searchResult(s *bedrockruntime.SearchResultBlock) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<search_result source=%q title=%q>\n", s.Source, s.Title)
	for _, c := range s.Content {
		b.WriteString(c.Text)
		b.WriteByte('\n')
	}
	b.WriteString("</search_result>\n")
	return b.String()
}

func (rd *reader) toolUse(t *bedrockruntime.ToolUseBlock, where string) (engine.Part, error) {
	if !isObject(t.Input) {
		return engine.Part{}, invalid("The format of the value at %s.toolUse.input is invalid. Provide a json object for the field and try again.", where)
	}
	rd.names[t.ToolUseId] = t.Name
	return engine.Part{ToolCall: &engine.ToolCall{ID: t.ToolUseId, Name: t.Name, Arguments: t.Input}}, nil
}

func isObject(text json.RawMessage) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == '{'
}

func (rd *reader) toolResult(t *bedrockruntime.ToolResultBlock, where string) (engine.Part, error) {
	failed := t.Status == bedrockruntime.ToolResultStatusError
	if failed && len(t.Content) == 0 {
		return engine.Part{}, invalid("The content field at %s.toolResult cannot be empty when status value is error.", where)
	}
	result := &engine.ToolResult{ID: t.ToolUseId, Name: rd.names[t.ToolUseId], Error: failed}
	for i := range t.Content {
		c := &t.Content[i]
		at := where + ".toolResult.content." + strconv.Itoa(i)
		var part engine.Part
		var err error
		switch {
		case c.Text != nil:
			part.Text = *c.Text
		case c.Json != nil:
			part.Text, err = compact(c.Json, at)
		case c.Image != nil:
			part, err = rd.image(string(c.Image.Format), c.Image.Source, at)
		case c.Document != nil:
			part, err = rd.document(c.Document, at)
		case c.SearchResult != nil:
			part.Text = searchResult(c.SearchResult)
		case c.Video != nil:
			err = unsupportedBlock("video")
		default:
			err = invalid("The content block at %s is empty. Set one of its fields and try again.", at)
		}
		if err != nil {
			return engine.Part{}, err
		}
		result.Parts = append(result.Parts, part)
	}
	return engine.Part{ToolResult: result}, nil
}

func compact(text json.RawMessage, where string) (string, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return "", invalid("The value at %s.json is not JSON.", where)
	}
	return b.String(), nil
}

// system joins the system blocks; cached tells whether one of them is a cache point.
func system(blocks []bedrockruntime.SystemContentBlock) (text string, cached bool, err error) {
	var texts []string
	for i := range blocks {
		b := &blocks[i]
		switch {
		case b.Text != nil:
			texts = append(texts, *b.Text)
		case b.GuardContent != nil && b.GuardContent.Text != nil:
			texts = append(texts, b.GuardContent.Text.Text)
		case b.CachePoint != nil:
			cached = true
		default:
			return "", false, invalid("The system content block at system.%d holds no text.", i)
		}
	}
	return strings.Join(texts, "\n\n"), cached, nil
}

// tools reads toolConfig into r.
func tools(r *engine.Request, c *bedrockruntime.ToolConfiguration) (cached bool, err error) {
	if c == nil {
		return false, nil
	}
	for i := range c.Tools {
		t := &c.Tools[i]
		switch {
		case t.CachePoint != nil:
			cached = true
			continue
		case t.SystemTool != nil:
			return false, invalid("The system tool %s at toolConfig.tools.%d is run by the service itself and is not built in Outcrop.", t.SystemTool.Name, i)
		case t.ToolSpec == nil:
			return false, invalid("The tool at toolConfig.tools.%d is empty. Set toolSpec and try again.", i)
		}
		spec := t.ToolSpec
		where := fmt.Sprintf("toolConfig.tools.%d.toolSpec.inputSchema.json", i)
		if spec.InputSchema == nil || !isObject(spec.InputSchema.Json) {
			return false, invalid("The format of the value at %s is invalid. Provide a json object for the field and try again.", where)
		}
		schema := family.Tree(spec.InputSchema.Json)
		if kind := schema.Get("type"); kind.Kind != family.String || kind.Text() != "object" {
			return false, invalid("The value at %s.type must be one of the following: object.", where)
		}
		if slices.ContainsFunc(r.Tools, func(o engine.Tool) bool { return o.Name == spec.Name }) {
			return false, invalid("The toolConfig.tools field has more than one tool with the name %s. Give each tool a name of its own and try again.", spec.Name)
		}
		r.Tools = append(r.Tools, engine.Tool{Name: spec.Name, Description: optional.Value(spec.Description), Schema: spec.InputSchema.Json})
	}
	if len(r.Tools) == 0 {
		return false, invalid("The toolConfig.tools field has no tool. Add a toolSpec and try again.")
	}
	choice := c.ToolChoice
	switch {
	case choice == nil || choice.Auto != nil:
	case choice.Any != nil:
		r.ToolChoice.Mode = engine.ToolAny
	case choice.Tool != nil:
		name := choice.Tool.Name
		if !slices.ContainsFunc(r.Tools, func(o engine.Tool) bool { return o.Name == name }) {
			return false, invalid("The toolConfig.toolChoice.tool.name value %s is not the name of a tool in toolConfig.tools.", name)
		}
		r.ToolChoice = engine.ToolChoice{Mode: engine.ToolNamed, Name: name}
	}
	return cached, nil
}

package novaembed

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var nova = family.Model{ID: "amazon.nova-2-multimodal-embeddings-v1:0"}

func single(params string) string {
	return `{"taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"embeddingPurpose":"CLUSTERING",` + params + `}}`
}

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, Codec{}, []familytest.Refusal{
		familytest.No("nothing", nova, `{}`, m("#: required key [taskType] not found", "#: required key [singleEmbeddingParams] not found")),
		familytest.No("segments", nova, `{"taskType":"SEGMENTED_EMBEDDING","singleEmbeddingParams":{"embeddingPurpose":"CLUSTERING"}}`, m("#/taskType: SEGMENTED_EMBEDDING is not a valid enum value")),
		familytest.No("size", nova, single(`"embeddingDimension":512,"text":{"truncationMode":"END","value":"x"}`), m("#/singleEmbeddingParams/embeddingDimension: 512 is not a valid enum value")),
		familytest.No("no input", nova, single(`"embeddingDimension":256`), m("#/singleEmbeddingParams: exactly one of [text, image, video, audio] is required")),
		familytest.No("two inputs", nova, single(`"audio":{},"video":{}`), m("#/singleEmbeddingParams: exactly one of [text, image, video, audio] is required")),
		familytest.No("too long", nova, single(`"text":{"truncationMode":"NONE","value":"`+strings.Repeat("é", 8193)+`"}`), m("#/singleEmbeddingParams/text/value: expected maxLength: 8192, actual: 8193")),
		familytest.No("no text", nova, single(`"text":{"truncationMode":"NONE"}`), m("#/singleEmbeddingParams/text: required key [value] not found")),
		familytest.No("not an image", nova, single(`"image":{"format":"png","source":{"bytes":"aGk="}}`), m("#/singleEmbeddingParams/image/source/bytes: not an image of the formats image/png")),
		familytest.No("bucket", nova, single(`"image":{"format":"png","source":{"s3Location":{"uri":"s3://a/b"}}}`), "Media in buckets are not read by InvokeModel in Outcrop: send the bytes in the body."),
		familytest.No("video", nova, single(`"video":{}`), "Embeddings of video and audio are not built in Outcrop."),
	})
}

func TestTruncation(t *testing.T) {
	for mode, want := range map[string]string{"START": "b", "END": "a"} {
		text := "a" + strings.Repeat("é", 8191) + "b"
		c, err := Codec{}.Decode(nova, []byte(single(fmt.Sprintf(`"text":{"truncationMode":%q,"value":%q}`, mode, text))))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Embed.Inputs[0]; len([]rune(got)) != 8192 || !strings.Contains(got, want) {
			t.Errorf("%s: %d characters", mode, len([]rune(got)))
		}
		body, err := Codec{}.Encode(c, &family.Output{Embed: &engine.EmbedResult{Vectors: [][]float32{{1}}}})
		if err != nil || !strings.HasSuffix(string(body), `"truncatedCharLength":8192}]}`) {
			t.Errorf("%v: …%s", err, body[max(0, len(body)-60):])
		}
	}
}

func FuzzDecode(f *testing.F) {
	familytest.Fuzz(f, Codec{}, nova, single(`"text":{"truncationMode":"END","value":"x"}`))
}

package titantext

import (
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var (
	express = family.Model{ID: "amazon.titan-text-express-v1"}
	lite    = family.Model{ID: "amazon.titan-text-lite-v1"}
)

func config(c string) string { return `{"inputText":"x","textGenerationConfig":{` + c + `}}` }

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, Codec{}, []familytest.Refusal{
		familytest.No("not an object", express, `[]`, "Malformed input request, please reformat your input and try again."),
		familytest.No("another family's body", express, `{"prompt":"x"}`, m("#: required key [inputText] not found", "#: extraneous key [prompt] is not permitted")),
		familytest.No("temperature", express, config(`"temperature":1.1`), m("#/textGenerationConfig/temperature: 1.1 is not less or equal to 1")),
		familytest.No("topP zero", express, config(`"topP":0`), m("#/textGenerationConfig/topP: 0 is not greater or equal to 1.0E-45")),
		familytest.No("maxTokenCount", express, config(`"maxTokenCount":8001`), m("#/textGenerationConfig/maxTokenCount: 8001 is not less or equal to 8000")),
		familytest.No("maxTokenCount of Lite", lite, config(`"maxTokenCount":4097`), m("#/textGenerationConfig/maxTokenCount: 4097 is not less or equal to 4096")),
		familytest.No("negative maxTokenCount", express, config(`"maxTokenCount":-1`), m("#/textGenerationConfig/maxTokenCount: -1 is not greater or equal to 0")),
		familytest.No("stop sequence", express, config(`"stopSequences":["Human:"]`), m(`#/textGenerationConfig/stopSequences/0: string [Human:] does not match pattern ^(\|+|User:)$`)),
		familytest.No("temperature null", express, config(`"temperature":null`), m("#/textGenerationConfig/temperature: expected type: Number, found: Null")),
		familytest.No("unknown key", express, config(`"topK":1`), m("#/textGenerationConfig: extraneous key [topK] is not permitted")),
		familytest.No("empty", express, `{"inputText":""}`, m("#/inputText: expected minLength: 1, actual: 0")),
		familytest.No("too long", express, `{"inputText":"`+strings.Repeat("é", 42001)+`"}`, m("#/inputText: expected maxLength: 42000, actual: 42001")),
	})
}

func TestAccepted(t *testing.T) {
	familytest.Accept(t, Codec{}, express, config(`"stopSequences":["|"]`), config(`"stopSequences":["||","User:"]`), config(`"stopSequences":[]`),
		config(`"maxTokenCount":8000,"topP":1e-45,"temperature":1`), `{"inputText":"`+strings.Repeat("é", 42000)+`"}`)
}

func TestTooLongEndsInABlank(t *testing.T) {
	const want = "400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token count: 9279 "
	if got := (Codec{}).TooLong(express, 8192, 9279); got != want {
		t.Errorf("got %q", got)
	}
}

func FuzzDecode(f *testing.F) { familytest.Fuzz(f, Codec{}, express) }

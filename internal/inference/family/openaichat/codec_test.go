package openaichat

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var anyone = family.Model{ID: "moonshot.kimi-k2-thinking", MaxOutput: 100}

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, New(Plain()), []familytest.Refusal{
		familytest.No("the model's limit", anyone, `{"messages":[{"role":"user","content":"x"}],"max_tokens":101}`, m("#/max_tokens: 101 is not less or equal to 100")),
		familytest.No("unknown key", anyone, `{"messages":[{"role":"user","content":"x"}],"prompt":"x"}`, m("#: extraneous key [prompt] is not permitted")),
		familytest.No("user without content", anyone, `{"messages":[{"role":"user"}]}`, m("#/messages/0: required key [content] not found")),
		familytest.No("part without text", anyone, `{"messages":[{"role":"user","content":[{"type":"text"}]}]}`, m("#/messages/0/content/0: required key [text] not found")),
		familytest.No("unknown part", anyone, `{"messages":[{"role":"user","content":[{"type":"input_audio"}]}]}`, m("#/messages/0/content/0/type: input_audio is not a valid enum value")),
	})
}

func TestConverseMergesFields(t *testing.T) {
	r := &engine.Request{Sampling: engine.Sampling{Temperature: new(0.1), MaxTokens: 50}}
	fields := family.Tree([]byte(`{"top_k":5,"presence_penalty":1,"reasoning_effort":"high"}`))
	if err := New(Plain()).Converse(r, fields, anyone); err != nil {
		t.Fatal(err)
	}
	want := engine.Sampling{Temperature: new(0.1), TopP: new(1.0), TopK: new(5), PresencePenalty: new(1.0), MaxTokens: 50}
	if diff := cmp.Diff(want, r.Sampling); diff != "" || !r.Thinking.Enabled {
		t.Errorf("(-want +got):\n%s", diff)
	}
	small := &engine.Request{}
	if err := New(Plain()).Converse(small, family.Value{}, anyone); err != nil || small.MaxTokens != 100 {
		t.Errorf("the default is %d, %v", small.MaxTokens, err)
	}
	r.MaxTokens = 101
	if err := New(Plain()).Converse(r, family.Value{}, anyone); err == nil || !strings.Contains(err.Error(), "exceeds the model limit of 100") {
		t.Errorf("got %v", err)
	}
}

func TestReasoningThatNeverEndsIsClosed(t *testing.T) {
	d := &Dialect{InlineReasoning: true}
	r := &engine.Result{Parts: []engine.Part{{Reasoning: &engine.Reasoning{Text: "hm"}}}, Stop: engine.MaxTokens}
	var text string
	for _, c := range familytest.Chunks(t, d.Stream(&family.Call{Answer: familytest.Answer}), []*engine.Result{r}) {
		v := family.Tree(c)
		text += v.Get("choices").Items()[0].Get("delta").Get("content").Text()
	}
	if text != "<reasoning>hm</reasoning>" {
		t.Errorf("streamed %q", text)
	}
}

func FuzzDecode(f *testing.F) {
	familytest.Fuzz(f, New(Plain()), anyone, `{"messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"1"}]}`)
}

package family

import (
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// show prints turns as "system|user:…|assistant:…".
func show(r *engine.Request) string {
	out := []string{r.System}
	for _, m := range r.Messages {
		out = append(out, string(m.Role)+":"+m.Parts[0].Text)
	}
	return strings.Join(out, "|")
}

func TestParseInst(t *testing.T) {
	for prompt, want := range map[string]string{
		"a bare question":            "|user:a bare question",
		"":                           "|user:",
		"<s>[INST] Hi [/INST]":       "|user:Hi",
		"[INST] Hi [/INST]":          "|user:Hi",
		"<s>[INST] Hi [/INST>":       "|user:Hi",
		"<s>[INST] Hi [/INST] It is": "|user:Hi|assistant:It is",
		"<s>[INST] q1 [/INST] a1</s>[INST] q2 [/INST]":                                                         "|user:q1|assistant:a1|user:q2",
		"<s>[INST] q1 [/INST]\na1</s>\n[INST] q2 [/INST]":                                                      "|user:q1|assistant:a1|user:q2",
		"<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST]":                                                 "Be brief.|user:Hi",
		"<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nq1 [/INST] a1 </s><s>[INST] q2 [/INST] a2 </s><s>[INST] q3 [/INST]": "S|user:q1|assistant:a1|user:q2|assistant:a2|user:q3",
		"Context: x. [INST] Hi [/INST]":                                                                        "|user:Context: x.\n\nHi",
		"[INST] one [INST] two [/INST]":                                                                        "|user:one\n\ntwo",
		"[INST] [/INST]":                                                                                       "|user:",
		"[INST] <<SYS>> broken Hi [/INST]":                                                                     "|user:<<SYS>> broken Hi",
		"[INST] Hi":                                                                                            "|user:Hi",
		"[/INST] odd [INST] Hi [/INST] end":                                                                    "|user:[/INST] odd\n\nHi|assistant:end",
	} {
		var r engine.Request
		ParseInst(&r, prompt)
		if got := show(&r); got != want {
			t.Errorf("%q\n got %q\nwant %q", prompt, got, want)
		}
	}
}

func TestParseHeaders(t *testing.T) {
	const (
		h, e, end = "<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"
	)
	for prompt, want := range map[string]string{
		"no template": "untouched",
		"<|begin_of_text|>" + h + "system" + e + "S" + end + h + "user" + e + "q" + end + h + "assistant" + e:                     "S|user:q",
		h + "user" + e + "q1" + end + h + "assistant" + e + "a1" + end + h + "user" + e + "q2" + end + h + "assistant" + e + "So": "|user:q1|assistant:a1|user:q2|assistant:So",
		"<|begin_of_text|><|header_start|>user<|header_end|>\n\nq<|eot|><|header_start|>assistant<|header_end|>\n\n":              "|user:q",
		"<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n":                                 "S|user:q",
		h + "ipython" + e + "42" + end + h + "assistant" + e:                                                                      "|user:42",
		h + "system" + e + "S only" + end: "|user:S only",
		h:                                 "|user:",
	} {
		r := engine.Request{}
		got := "untouched"
		if ParseHeaders(&r, prompt) {
			got = show(&r)
		}
		if got != want {
			t.Errorf("%q\n got %q\nwant %q", prompt, got, want)
		}
	}
}

func TestParseDeepSeek(t *testing.T) {
	var r engine.Request
	if !ParseDeepSeek(&r, "<｜begin▁of▁sentence｜>S<｜User｜>q1<｜Assistant｜>a1<｜end▁of▁sentence｜><｜User｜>q2<｜Assistant｜><think>\n") {
		t.Fatal("not recognised")
	}
	if got := show(&r); got != "S|user:q1|assistant:a1|user:q2" {
		t.Error(got)
	}
	if r.Thinking == nil || !r.Thinking.Enabled {
		t.Error("<think> did not ask for reasoning")
	}
	if ParseDeepSeek(new(engine.Request), "plain") {
		t.Error("a plain prompt has no template")
	}
}

func TestParseUserBot(t *testing.T) {
	for prompt, want := range map[string]string{
		"User: Name one mineral.\nBot:":         "|user:Name one mineral.",
		"User: a\nBot: b\nUser: c\nBot:":        "|user:a|assistant:b|user:c",
		"User: a\nBot: It is":                   "|user:a|assistant:It is",
		"Summarise what the User: and Bot: say": "untouched",
		"User: no bot":                          "untouched",
		"User:\nBot:":                           "|user:",
	} {
		r := engine.Request{}
		got := "untouched"
		if ParseUserBot(&r, prompt) {
			got = show(&r)
		}
		if got != want {
			t.Errorf("%q\n got %q\nwant %q", prompt, got, want)
		}
	}
}

func FuzzPromptsAlwaysHaveMessages(f *testing.F) {
	f.Add("<s>[INST] <<SYS>>a<</SYS>>b[/INST]c</s>[INST]")
	f.Add("<|start_header_id|>user<|end_header_id|>x<|eot_id|>")
	f.Add("<｜User｜>q<｜Assistant｜><think>")
	f.Add("User: a\nBot:")
	f.Fuzz(func(t *testing.T, prompt string) {
		for name, parse := range map[string]func(*engine.Request, string) bool{
			"inst":     func(r *engine.Request, p string) bool { ParseInst(r, p); return true },
			"headers":  ParseHeaders,
			"deepseek": ParseDeepSeek,
			"userbot":  ParseUserBot,
		} {
			var r engine.Request
			if parse(&r, prompt) && len(r.Messages) == 0 {
				t.Errorf("%s: no message in %q", name, prompt)
			}
		}
	})
}

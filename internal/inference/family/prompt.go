package family

import (
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// The functions of this file take a raw prompt apart that was written in the
// template of the model AWS names, so that the local model gets the same turns in
// its own template. A prompt without a template is one user message.

// turns collects the turns of a prompt into r.
type turns struct {
	r *engine.Request
}

func (t turns) add(role engine.Role, text string) {
	text = strings.TrimSpace(text)
	if text == "" {
		return
	}
	if n := len(t.r.Messages); n > 0 && t.r.Messages[n-1].Role == role {
		t.r.Messages[n-1].Parts[0].Text += "\n\n" + text
		return
	}
	t.r.Messages = append(t.r.Messages, engine.Message{Role: role, Parts: []engine.Part{{Text: text}}})
}

func (t turns) system(text string) {
	text = strings.TrimSpace(text)
	if t.r.System != "" && text != "" {
		t.r.System += "\n\n"
	}
	t.r.System += text
}

// plain makes the whole prompt one user message, even an empty one.
func (t turns) plain(prompt string) {
	t.r.Messages = []engine.Message{{Role: engine.User, Parts: []engine.Part{{Text: prompt}}}}
}

var instTokens = strings.NewReplacer("<s>", "", "</s>", "")

// ParseInst reads the template of Llama 2 and Mistral:
//
//	<s>[INST] <<SYS>>system<</SYS>> question [/INST] answer</s>[INST] question [/INST]
//
// Text after the last [/INST] is the beginning of the answer. Missing <s> and a
// broken last [/INST] are tolerated: programs in the wild send both.
func ParseInst(r *engine.Request, prompt string) {
	t := turns{r}
	before, rest, ok := strings.Cut(prompt, "[INST]")
	if !ok {
		t.plain(strings.TrimSpace(instTokens.Replace(prompt)))
		return
	}
	lead := strings.TrimSpace(instTokens.Replace(before))
	for first := true; ok; first = false { // rest begins behind an [INST]
		var turn string
		turn, rest, ok = strings.Cut(rest, "[INST]")
		user, answer, _ := strings.Cut(turn, "[/INST]")
		user, _, _ = strings.Cut(user, "[/INST")
		if first {
			if start := strings.Index(user, "<<SYS>>"); start >= 0 {
				if end := strings.Index(user, "<</SYS>>"); end > start {
					t.system(user[start+len("<<SYS>>") : end])
					user = user[:start] + user[end+len("<</SYS>>"):]
				}
			}
			if lead != "" {
				user = lead + "\n\n" + strings.TrimSpace(user)
			}
		}
		t.add(engine.User, instTokens.Replace(user))
		t.add(engine.Assistant, instTokens.Replace(answer))
	}
	if len(r.Messages) == 0 {
		t.plain("")
	}
}

// header is one dialect of the templates whose turns begin with a role between
// two tokens.
type header struct{ open, shut, end string }

var headers = []header{
	{"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}, // Llama 3
	{"<|header_start|>", "<|header_end|>", "<|eot|>"},          // Llama 4
	{"<|im_start|>", "\n", "<|im_end|>"},                       // ChatML: Qwen
	{"<|start|>", "<|message|>", "<|end|>"},                    // Harmony: gpt-oss
}

var headerTokens = strings.NewReplacer(
	"<|begin_of_text|>", "", "<|end_of_text|>", "", "<|eom_id|>", "", "<|eom|>", "", "<|return|>", "", "<|image|>", "")

// ParseHeaders reads the templates whose turns carry their role in a header, such
// as Llama 3's:
//
//	<|start_header_id|>user<|end_header_id|>question<|eot_id|><|start_header_id|>assistant<|end_header_id|>
//
// It reports whether the prompt has such a template; if not, r is untouched.
func ParseHeaders(r *engine.Request, prompt string) bool {
	for _, h := range headers {
		if !strings.Contains(prompt, h.open) {
			continue
		}
		t := turns{r}
		before, rest, ok := strings.Cut(prompt, h.open)
		t.system(headerTokens.Replace(before))
		for ok {
			var role, text string
			role, rest, _ = strings.Cut(rest, h.shut)
			text, rest, ok = strings.Cut(rest, h.open)
			text, _, _ = strings.Cut(text, h.end)
			text = headerTokens.Replace(text)
			switch role = strings.TrimSpace(role); {
			case role == "system" || role == "developer":
				t.system(text)
			case strings.HasPrefix(role, "assistant"):
				t.add(engine.Assistant, text)
			default: // user, and tool results that the template calls ipython or tool
				t.add(engine.User, text)
			}
		}
		if len(r.Messages) == 0 {
			t.plain(r.System)
			r.System = ""
		}
		return true
	}
	return false
}

// ParseDeepSeek reads DeepSeek's template:
//
//	<｜begin▁of▁sentence｜>system<｜User｜>question<｜Assistant｜>answer<｜end▁of▁sentence｜>
//
// A trailing <think> asks for reasoning. It reports whether the prompt has the template.
func ParseDeepSeek(r *engine.Request, prompt string) bool {
	const user, assistant = "<｜User｜>", "<｜Assistant｜>"
	if !strings.Contains(prompt, user) {
		return false
	}
	t := turns{r}
	clean := strings.NewReplacer("<｜begin▁of▁sentence｜>", "", "<｜end▁of▁sentence｜>", "")
	before, rest, ok := strings.Cut(prompt, user)
	t.system(clean.Replace(before))
	for ok {
		var turn string
		turn, rest, ok = strings.Cut(rest, user)
		question, answer, _ := strings.Cut(turn, assistant)
		t.add(engine.User, clean.Replace(question))
		answer = strings.TrimSpace(clean.Replace(answer))
		if !ok && strings.HasPrefix(answer, "<think>") {
			r.Thinking = &engine.Thinking{Enabled: true}
			answer = strings.TrimPrefix(answer, "<think>")
		}
		t.add(engine.Assistant, answer)
	}
	if len(r.Messages) == 0 {
		t.plain("")
	}
	return true
}

// ParseUserBot reads the conversational form of Titan Text, "User: …\nBot: …". It
// reports whether the prompt begins so and has a turn of the bot.
func ParseUserBot(r *engine.Request, prompt string) bool {
	const user, bot = "User:", "Bot:"
	trimmed := strings.TrimSpace(prompt)
	if !strings.HasPrefix(trimmed, user) || !strings.Contains(trimmed, "\n"+bot) {
		return false
	}
	t := turns{r}
	for i, turn := range strings.Split("\n"+trimmed, "\n"+user) {
		if i == 0 {
			continue
		}
		question, answer, _ := strings.Cut(turn, "\n"+bot)
		t.add(engine.User, question)
		t.add(engine.Assistant, strings.ReplaceAll(answer, "\n"+bot, "\n"))
	}
	if len(r.Messages) == 0 {
		t.plain("")
	}
	return true
}

// Plain makes the whole prompt one user message.
func Plain(r *engine.Request, prompt string) { turns{r}.plain(prompt) }

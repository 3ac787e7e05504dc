package catalog

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Model is one entry of the catalogue: what AWS says of a foundation model. It
// is written the same way in our tables and in a user's configuration, which is
// why lists are words in a string.
type Model struct {
	ID       string `json:"id" yaml:"id"`             // base id: anthropic.claude-v2:1
	Name     string `json:"name" yaml:"name"`         // Claude; the id's tail when empty
	Provider string `json:"provider" yaml:"provider"` // Anthropic; from the id's first word when empty
	Version  string `json:"version" yaml:"version"`   // as a console shows it: 1.x
	Family   Family `json:"family" yaml:"family"`     // codec of the native body
	// Kind of local model that serves it; from Out when empty.
	Kind engine.Kind `json:"kind" yaml:"kind"`

	In  string `json:"in" yaml:"in"`   // input modalities: "TEXT IMAGE"; TEXT when empty
	Out string `json:"out" yaml:"out"` // output modalities: "TEXT", "EMBEDDING", "IMAGE"; TEXT when empty
	// Features are words: stream (streamed operations), tools, think, system
	// (system text), chat (shown in the chat playground).
	Features string `json:"features" yaml:"features"`

	Context    int    `json:"context" yaml:"context"`       // longest input plus output, tokens
	MaxOutput  int    `json:"maxOutput" yaml:"maxOutput"`   // longest answer, tokens
	Dimension  int    `json:"dimension" yaml:"dimension"`   // advertised size of an embedding
	Dimensions []int  `json:"dimensions" yaml:"dimensions"` // sizes that may be asked for
	Customize  string `json:"customize" yaml:"customize"`   // FINE_TUNING CONTINUED_PRE_TRAINING DISTILLATION

	// OnDemand names the Regions where the bare id may be invoked: "*" for all,
	// "" for none (the model is reached through a profile or bought throughput).
	OnDemand string `json:"onDemand" yaml:"onDemand"`
	// Profiles names the geographies of its system-defined inference profiles: "us eu apac".
	Profiles string `json:"profiles" yaml:"profiles"`
	// Throughput lists the ids for buying throughput as suffixes of the id, with
	// a "!" where the base model cannot be bought without commitment: ":18k :100k".
	Throughput string `json:"throughput" yaml:"throughput"`
	// Regions where AWS offers the model, "" for all. Obeyed only when
	// Config.StrictRegions is set: they are a statement of one month of 2024.
	Regions string `json:"regions" yaml:"regions"`

	Start       string `json:"start" yaml:"start"`             // first day on Bedrock, 2024-03-13
	Legacy      string `json:"legacy" yaml:"legacy"`           // first day as Legacy; six months before EOL when empty
	EOL         string `json:"eol" yaml:"eol"`                 // first day on which every request fails
	Replacement string `json:"replacement" yaml:"replacement"` // id of the better model

	ProductID string `json:"productId" yaml:"productId"` // of the marketplace, for aws-marketplace:ProductId
	EULA      string `json:"eula" yaml:"eula"`           // address of the terms
	// Unlisted entries can be called and described but are not in lists: old
	// spellings that programs still use.
	Unlisted bool `json:"unlisted" yaml:"unlisted"`
}

// Throughput is an id under which throughput of a base model is bought.
type Throughput struct {
	ID           string // anthropic.claude-v2:0:18k
	NoCommitment bool   // the base model may be bought without commitment
}

// entry is a Model taken apart once, at start.
type entry struct {
	Model
	in, out    []string
	customize  []string
	stream     bool
	tools      bool
	think      bool
	system     bool
	chat       bool
	onDemand   []string
	everywhere bool // on demand in every Region
	profiles   []string
	regions    []string
	throughput []Throughput
	start      time.Time
	legacy     time.Time
	eol        time.Time
	embedding  *EmbeddingFacts
	quotaKey   string
	// variantOf is set for an id that only buys throughput: the entry of its base.
	variantOf *entry
	ruled     bool // made by a rule, not listed
}

// providers spells the first word of a model id as AWS names the provider.
var providers = map[string]string{
	"ai21": "AI21 Labs", "amazon": "Amazon", "anthropic": "Anthropic", "cohere": "Cohere",
	"deepseek": "DeepSeek", "google": "Google", "luma": "Luma AI", "meta": "Meta",
	"minimax": "MiniMax", "mistral": "Mistral AI", "moonshot": "Moonshot AI",
	"moonshotai": "Moonshot AI", "nvidia": "NVIDIA", "openai": "OpenAI", "qwen": "Qwen",
	"stability": "Stability AI", "twelvelabs": "TwelveLabs", "writer": "Writer",
	"xai": "xAI", "zai": "Z.AI",
}

// terms is where AWS keeps the terms of third-party models.
const terms = "https://aws.amazon.com/legal/bedrock/third-party-models/"

// modalities and customizations that an entry may name.
var (
	knownModalities     = []string{"TEXT", "IMAGE", "EMBEDDING", "VIDEO", "SPEECH", "AUDIO"}
	knownCustomizations = []string{"FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION"}
)

// prepare takes a Model apart. It says which entry and which word is wrong,
// because the Model may be a user's.
func prepare(m Model) (*entry, error) {
	fail := func(format string, args ...any) (*entry, error) {
		return nil, fmt.Errorf("catalogue entry %q: %s", m.ID, fmt.Sprintf(format, args...))
	}
	vendor, tail, ok := strings.Cut(m.ID, ".")
	if !ok || vendor == "" || tail == "" || !validID(m.ID) {
		return fail("the id must be of the form provider.model, at most 140 characters")
	}
	if m.Family == "" {
		return fail("it needs a family")
	}
	e := &entry{Model: m, in: strings.Fields(cmp.Or(m.In, "TEXT")), out: strings.Fields(cmp.Or(m.Out, "TEXT"))}
	e.Provider = cmp.Or(m.Provider, providers[vendor], vendor)
	e.Name = cmp.Or(m.Name, tail)
	e.EULA = cmp.Or(m.EULA, terms)
	for _, w := range slices.Concat(e.in, e.out) {
		if !slices.Contains(knownModalities, w) {
			return fail("unknown modality %q", w)
		}
	}
	e.customize = strings.Fields(m.Customize)
	for _, w := range e.customize {
		if !slices.Contains(knownCustomizations, w) {
			return fail("unknown customization %q", w)
		}
	}
	for _, w := range strings.Fields(m.Features) {
		switch w {
		case "stream":
			e.stream = true
		case "tools":
			e.tools = true
		case "think":
			e.think = true
		case "system":
			e.system = true
		case "chat":
			e.chat = true
		default:
			return fail("unknown feature %q", w)
		}
	}
	if e.Kind == "" {
		e.Kind = kindOf(m.Family, e.out)
	}
	e.everywhere = m.OnDemand == "*"
	if !e.everywhere {
		e.onDemand = strings.Fields(m.OnDemand)
	}
	e.profiles = strings.Fields(m.Profiles)
	for _, g := range e.profiles {
		if _, ok := geographies[g]; !ok {
			return fail("unknown geography %q", g)
		}
	}
	e.regions = strings.Fields(m.Regions)
	for _, w := range strings.Fields(m.Throughput) {
		suffix, refused := strings.CutSuffix(w, "!")
		e.throughput = append(e.throughput, Throughput{ID: m.ID + suffix, NoCommitment: !refused})
	}
	var err error
	for _, d := range []struct {
		text string
		into *time.Time
	}{{m.Start, &e.start}, {m.Legacy, &e.legacy}, {m.EOL, &e.eol}} {
		if d.text == "" {
			continue
		}
		if *d.into, err = time.Parse(time.DateOnly, d.text); err != nil {
			return fail("%q is no date such as 2024-03-13", d.text)
		}
	}
	if e.legacy.IsZero() && !e.eol.IsZero() {
		// AWS leaves a model in the Legacy state for six months at least.
		e.legacy = e.eol.AddDate(0, -6, 0)
	}
	if e.Kind == engine.Embedding {
		if m.Dimension <= 0 {
			return fail("an embedding model needs its dimension")
		}
		e.embedding = &EmbeddingFacts{Default: m.Dimension, Allowed: m.Dimensions, Images: slices.Contains(e.in, "IMAGE")}
	}
	e.quotaKey, _, _ = strings.Cut(m.ID, ":")
	return e, nil
}

// kindOf says what kind of local model can stand in for a model.
func kindOf(f Family, out []string) engine.Kind {
	switch {
	case f == Rerank:
		return engine.Reranker
	case slices.Contains(out, "EMBEDDING"):
		return engine.Embedding
	case slices.Contains(out, "VIDEO"):
		return Video
	case slices.Contains(out, "SPEECH"):
		return Speech
	case slices.Contains(out, "IMAGE"):
		return engine.Image
	}
	return engine.Chat
}

// variant makes the entry of an id that only buys throughput of e.
func (e *entry) variant(t Throughput) *entry {
	v := *e
	v.ID = t.ID
	v.variantOf = e
	v.everywhere, v.onDemand, v.profiles, v.throughput = false, nil, nil, nil
	v.Context = variantContext(t.ID, e.Context)
	return &v
}

// variantContext reads the context length from the last word of a throughput id:
// 18k, or 512. Other words (0, mm) say nothing of it.
func variantContext(id string, otherwise int) int {
	word := id[strings.LastIndexByte(id, ':')+1:]
	thousands, k := strings.CutSuffix(word, "k")
	n, err := strconv.Atoi(thousands)
	switch {
	case err != nil || n <= 0:
		return otherwise
	case k:
		return n * 1000
	case n < 100: // a minor version
		return otherwise
	}
	return n
}

// isOnDemand reports whether the bare id may be invoked in a Region.
func (e *entry) isOnDemand(region string) bool {
	return e.variantOf == nil && (e.everywhere || slices.Contains(e.onDemand, region))
}

// inferenceTypes are the ways in which the id is used in a Region. AWS answers
// INFERENCE_PROFILE too, which its own service model does not list.
func (e *entry) inferenceTypes(region string) []string {
	types := []string{}
	if e.variantOf != nil {
		return append(types, provisioned)
	}
	if e.isOnDemand(region) {
		types = append(types, onDemand)
	}
	for _, g := range e.profiles {
		if geographies[g].from(region) {
			types = append(types, profiled)
			break
		}
	}
	return types
}

const (
	onDemand    = "ON_DEMAND"
	provisioned = "PROVISIONED"
	profiled    = "INFERENCE_PROFILE"
)

// validID checks the form of a base model id: lower-case words, digits, dots,
// dashes and colons, 140 characters at most.
func validID(s string) bool {
	if len(s) == 0 || len(s) > 140 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == ':', c == '_':
		default:
			return false
		}
	}
	return true
}

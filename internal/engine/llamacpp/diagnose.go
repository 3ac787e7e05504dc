package llamacpp

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// errPortTaken lets the loader try another port.
var errPortTaken = errors.New("port is taken")

// symptom maps what a child said last to what a person can do about it. The
// texts are those of ggml, llama.cpp's model loader and its server; the first
// match wins, so the particular stands before the general.
type symptom struct {
	says    *regexp.Regexp
	kind    engine.ErrorKind
	message string
	hint    string
	cause   error
}

var illegalInstruction = symptom{
	says:    regexp.MustCompile(`(?i)illegal instruction`),
	kind:    engine.Unavailable,
	message: "the engine was built for another processor",
	hint:    "install another build of llama.cpp and set OUTCROP_LLAMA_SERVER to it",
}

var symptoms = []symptom{
	{
		says:    regexp.MustCompile(`(?i)couldn't bind|could not bind|bind[^\n]*(failed|error)|address already in use|failed to bind|unable to start HTTP server|failed to initialize HTTP server|failed to start HTTP server`),
		kind:    engine.NotReady,
		message: "the engine's port was taken",
		hint:    "try again; another port is chosen",
		cause:   errPortTaken,
	},
	{
		says:    regexp.MustCompile(`(?i)out of memory|cannot allocate memory|failed to allocate|unable to allocate|std::bad_alloc|MemoryError|cudaMalloc failed|failed to create context with model|insufficient memory`),
		kind:    engine.NoMemory,
		message: "the model does not fit into memory",
		hint:    "choose a smaller model (--chat-model), fewer context tokens or parallel requests, or stop other programs",
	},
	{
		says:    regexp.MustCompile(`(?i)unknown model architecture|unknown architecture|unsupported model architecture`),
		kind:    engine.Unavailable,
		message: "the installed engine does not know this kind of model",
		hint:    "update the engine (`outcrop engine install`) or choose another model",
	},
	{
		says:    regexp.MustCompile(`(?i)invalid magic|bad magic|not a gguf|gguf_init_from|failed to read (magic|header|tensor)|tensor data is not within|corrupt|unknown pre-tokenizer|error loading model vocabulary|missing tensor|wrong number of tensors|check_tensor_dims|key not found in model`),
		kind:    engine.Unavailable,
		message: "the model file is damaged or not a model",
		hint:    "fetch it again: `outcrop models rm NAME`, then `outcrop models pull NAME`",
	},
	{
		says:    regexp.MustCompile(`(?i)lora|adapter[^\n]*fail`),
		kind:    engine.Unavailable,
		message: "a model adapter cannot be applied",
		hint:    "the adapter must be a GGUF LoRA made for this base model",
	},
	{
		says:    regexp.MustCompile(`(?i)mmproj|clip_model|clip_init`),
		kind:    engine.Unavailable,
		message: "the model's image projector cannot be loaded",
		hint:    "fetch the model again, or serve it without images",
	},
	{
		says:    regexp.MustCompile(`(?i)failed to load model|error loading model|failed to open[^\n]*gguf|unable to load model`),
		kind:    engine.Unavailable,
		message: "the model cannot be loaded",
		hint:    "fetch it again: `outcrop models rm NAME`, then `outcrop models pull NAME`",
	},
	illegalInstruction,
	{
		says:    regexp.MustCompile(`ModuleNotFoundError|ImportError|GLIBC(XX)?_[0-9.]+' not found|cannot open shared object file|error while loading shared libraries|Library not loaded|AttributeError`),
		kind:    engine.Unavailable,
		message: "the engine cannot start on this system",
		hint:    "run `outcrop doctor`; then `outcrop engine install`, or set OUTCROP_LLAMA_SERVER to a llama-server that runs here",
	},
	{
		says:    regexp.MustCompile(`(?i)unrecognized argument|invalid argument:|unknown argument|error: unknown option`),
		kind:    engine.Unavailable,
		message: "the installed llama-server is too old",
		hint:    "update llama-server, or remove it from PATH and run `outcrop engine install`",
	},
}

const (
	sigill = 4
	sigkil = 9
)

// diagnose turns the end of a child into the port's error. loading tells
// whether it had not yet been ready.
func diagnose(err error, loading bool) *engine.Error {
	exit, ok := errors.AsType[*Exit](err)
	if !ok {
		return &engine.Error{Kind: engine.Crashed, Message: "the engine cannot be run", Err: err}
	}
	out := &engine.Error{Err: fmt.Errorf("%w; it said last: %s", err, lastLines(exit.Tail))}
	if errors.Is(exit.Err, fs.ErrNotExist) || errors.Is(exit.Err, fs.ErrPermission) {
		out.Kind, out.Message, out.Hint = engine.Unavailable, "the engine program cannot be started", "run `outcrop engine install`, or correct OUTCROP_LLAMA_SERVER"
		return out
	}
	if exit.State != nil && signalOf(exit.State) == sigill {
		s := illegalInstruction
		out.Kind, out.Message, out.Hint = s.kind, s.message, s.hint
		return out
	}
	// Before it is ready a child's last words are about why; later they may be
	// about anything, and only lack of memory explains a death.
	for _, s := range symptoms {
		if (loading || s.kind == engine.NoMemory) && s.says.MatchString(exit.Tail) {
			out.Kind, out.Message, out.Hint = s.kind, s.message, s.hint
			if s.cause != nil {
				out.Err = fmt.Errorf("%w: %w", s.cause, out.Err)
			}
			return out
		}
	}
	out.Kind = engine.Crashed
	switch {
	case exit.State != nil && signalOf(exit.State) == sigkil:
		out.Message = "the engine was killed"
		out.Hint = "if memory ran out, choose a smaller model or set a lower memory limit"
	case loading:
		out.Message = "the engine ended while it loaded the model"
		out.Hint = "the log at debug level holds all that it said"
	default:
		out.Message = "the engine ended unexpectedly"
		out.Hint = "it is started again by itself; the log at debug level holds all that it said"
	}
	return out
}

// lastLines shortens a tail for the log.
func lastLines(tail string) string {
	lines := strings.Split(strings.TrimSpace(tail), "\n")
	if n := len(lines); n > 5 {
		lines = lines[n-5:]
	}
	return cmp.Or(strings.Join(lines, " | "), "nothing")
}

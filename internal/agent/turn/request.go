package turn

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// Limits of the files of a request.
const (
	maxFiles     = 5
	maxFileBytes = 10 << 20 // of all together
)

// readFiles takes the files of the request: those to talk about become parts of what
// the user says, those to work with are the interpreter's.
func (t *Turn) readFiles(ctx context.Context) error {
	if len(t.Input.Files) > maxFiles {
		return invalid("The request has %d files. Send at most %d.", len(t.Input.Files), maxFiles)
	}
	total := 0
	for i := range t.Input.Files {
		f := &t.Input.Files[i]
		got, err := t.readFile(ctx, f)
		if err != nil {
			return err
		}
		if total += len(got.Data); total > maxFileBytes {
			return invalid("The files of the request have more than %d bytes together.", maxFileBytes)
		}
		if f.UseCase == runtime.FileUseCaseCodeInterpreter {
			if !t.plan.Enabled(plan.CodeInterpreter) {
				return invalid("The file %s is for the code interpreter, which is not enabled for this agent.", f.Name)
			}
			t.code = append(t.code, *got)
			continue
		}
		part, err := chatPart(got)
		if err != nil {
			return err
		}
		t.chat = append(t.chat, part)
	}
	return nil
}

func (t *Turn) readFile(ctx context.Context, f *runtime.InputFile) (*File, error) {
	switch s := f.Source; {
	case s != nil && s.SourceType == runtime.FileSourceTypeByteContent && s.ByteContent != nil:
		return &File{Name: f.Name, Type: s.ByteContent.MediaType, Data: s.ByteContent.Data}, nil
	case s != nil && s.SourceType == runtime.FileSourceTypeS3 && s.S3Location != nil:
		if t.r.c.Objects == nil {
			return nil, invalid("The file %s lies in S3, from which this server does not read files of agents. Send its bytes.", f.Name)
		}
		data, kind, err := t.r.c.Objects.Read(ctx, s.S3Location.Uri, maxFileBytes)
		if err != nil {
			return nil, err
		}
		return &File{Name: f.Name, Type: kind, Data: data}, nil
	}
	return nil, invalid("The source of the file %s does not hold what its sourceType names.", f.Name)
}

// chatPart makes a part of a message of a file.
func chatPart(f *File) (engine.Part, error) {
	kind, _, _ := strings.Cut(strings.ToLower(f.Type), ";")
	switch {
	case strings.HasPrefix(kind, "image/"):
		return engine.Part{Image: &engine.Blob{MediaType: kind, Data: f.Data}}, nil
	case utf8.Valid(f.Data):
		return engine.Part{Text: fmt.Sprintf("<file name=%q>\n%s\n</file>\n", f.Name, f.Data)}, nil
	}
	return engine.Part{}, invalid("The file %s of type %s is neither text nor an image; this server cannot show it to a model.", f.Name, f.Type)
}

// readHistory makes messages of what was said before: of the request's own history
// and of earlier turns.
func (t *Turn) readHistory() error {
	for i := range t.Input.History {
		m := &t.Input.History[i]
		var parts []engine.Part
		for _, b := range m.Content {
			parts = append(parts, engine.Part{Text: optional.Value(b.Text)})
		}
		t.history = append(t.history, engine.Message{Role: engine.Role(m.Role), Parts: parts})
	}
	var turns [][2]engine.Message
	for _, raw := range t.Records {
		rec, err := ReadRecord(raw)
		if err != nil {
			return err
		}
		if rec.Input == "" || rec.Answer == "" {
			continue // it waited, or failed
		}
		answer := rec.Answer
		if rec.Thought != "" && !t.ForgetThoughts && t.textTools() {
			answer = "<thinking>" + rec.Thought + "</thinking>\n" + answer
		}
		turns = append(turns, [2]engine.Message{
			{Role: engine.User, Parts: []engine.Part{{Text: rec.Input}}}, {Role: engine.Assistant, Parts: []engine.Part{{Text: answer}}},
		})
	}
	if t.Turns != nil && len(turns) > *t.Turns {
		turns = turns[len(turns)-*t.Turns:]
	}
	for _, p := range turns {
		t.history = append(t.history, p[0], p[1])
	}
	return nil
}

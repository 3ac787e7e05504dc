package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// basesProgram runs a program about knowledge bases on a server of its own, whose model
// follows the rules of bases.yaml and embeds by the words of a text.
func basesProgram(t *testing.T, name string, args ...string) *outcroptest.Server {
	t.Helper()
	rules, err := filepath.Abs(filepath.Join("testdata", "bases.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s := outcroptest.Start(t, "--engine", "script:"+rules)
	program(t, s, name, args...)
	return s
}

// Knowledge bases from their making to their end.
func TestProgramsLiveWithKnowledgeBases(t *testing.T) {
	t.Parallel()
	basesProgram(t, "bases.py")
}

// Answers with citations, whole and in a stream.
func TestAnswersCiteWhatSupportsThem(t *testing.T) {
	t.Parallel()
	basesProgram(t, "bases_answers.py")
}

// A real function edits chunks on their way into the index.
func TestAFunctionEditsChunks(t *testing.T) {
	t.Parallel()
	basesProgram(t, "bases_transform.py")
}

// An agent asks its knowledge base. The model's rules need the id that the knowledge
// base got, so the server is started again with them in between.
func TestAnAgentAsksItsKnowledgeBase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(rules string, args ...string) []string {
		file := filepath.Join(dir, "rules.yaml")
		if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := outcroptest.Launch(dir, "--engine", "script:"+file)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if code := s.Stop(); code != 0 || t.Failed() {
				t.Errorf("the server ended with status %d\n%s", code, s.Log())
			}
		}()
		return program(t, s, "bases_agent.py", args...)
	}
	left := strings.Fields(strings.Join(run("rules: [{reply: {text: nothing}}]\n", "make"), " "))
	if len(left) != 2 {
		t.Fatalf("the first program left %q", left)
	}
	tool := "get__x_amz_knowledgebase_" + left[0] + "__Search"
	run(`rules:
  - when: {system: "312 metres"}
    reply: {text: "<answer><answer_part><text>The Karst tower is 312 metres tall.</text><sources><source>1</source></sources></answer_part></answer>"}
  - when: {user: "312 metres"}
    reply: {text: "<answer><answer_part><text>The Karst tower is 312 metres tall.</text><sources><source>1</source></sources></answer_part></answer>"}
  - when: {tool_result: "312 metres"}
    reply: {text: "The Karst tower is 312 metres tall."}
  - when: {tool_result: "."}
    reply: {text: "The books say nothing."}
  - when: {user: "Ask the books", tools: [`+tool+`]}
    reply: {tool_calls: [{name: `+tool+`, arguments: {searchQuery: "How tall is the Karst tower?"}}]}
  - reply: {text: "I have no books."}
`, append([]string{"ask"}, left...)...)
}

// What a knowledge base under a customer key has read is nowhere in the data folder in
// plain bytes, write-ahead logs included, while the server runs and after.
func TestAKnowledgeBaseUnderACustomerKeyCannotBeRead(t *testing.T) {
	t.Parallel()
	rules, err := filepath.Abs(filepath.Join("testdata", "bases.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := outcroptest.Launch(t.TempDir(), "--engine", "script:"+rules)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	program(t, s, "bases_secret.py")
	look := func() (found []string, indexes int) {
		all, err := os.ReadDir(s.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			name := f.Name()
			if name == "objects" { // the bucket that the documents came from is not under that key
				continue
			}
			got := search(t, filepath.Join(s.Data, name), "zebra-crossing", "SQLite format 3")
			found, indexes = append(found, got["zebra-crossing"]...), indexes+len(got["SQLite format 3"])
		}
		return found, indexes
	}
	running, indexes := look()
	s.Stop()
	stopped, _ := look()
	if indexes < 2 {
		t.Errorf("the search finds %d files of databases", indexes)
	}
	if files := append(running, stopped...); len(files) > 0 {
		t.Errorf("plain text of the documents stands in %s", strings.Join(files, ", "))
	}
}

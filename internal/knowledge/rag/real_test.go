package rag

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/llamacpp"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
)

// real answers with the default model of the package index.
type real struct {
	engine *llamacpp.Engine
	model  string
	last   string
}

func (r *real) GenerateWith(ctx context.Context, _ string, q *engine.Request, _ json.RawMessage, emit func(engine.Delta) error) (*engine.Result, error) {
	q.Model = r.model
	var b strings.Builder
	out, err := r.engine.Generate(ctx, q, func(d engine.Delta) error {
		b.WriteString(d.Text)
		return emit(d)
	})
	r.last = b.String()
	return out, err
}

// shelf finds passages by their vectors.
type shelf struct {
	engine  *llamacpp.Engine
	results []api.KnowledgeBaseRetrievalResult
	vectors [][]float32
}

func (s *shelf) embed(ctx context.Context, texts []string) ([][]float32, error) {
	r, err := s.engine.Embed(ctx, &engine.EmbedRequest{Model: "all-minilm-l6-v2", Inputs: texts})
	if err != nil {
		return nil, err
	}
	return r.Vectors, nil
}

func (s *shelf) Search(ctx context.Context, _ *knowledge.Base, text string, _ *api.KnowledgeBaseRetrievalConfiguration) ([]api.KnowledgeBaseRetrievalResult, error) {
	q, err := s.embed(ctx, []string{text})
	if err != nil {
		return nil, err
	}
	score := func(i int) (sum float32) {
		for k, v := range s.vectors[i] {
			sum += v * q[0][k]
		}
		return sum
	}
	order := make([]int, len(s.results))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if score(a) > score(b) {
			return -1
		}
		return 1
	})
	var out []api.KnowledgeBaseRetrievalResult
	for _, i := range order[:5] {
		out = append(out, s.results[i])
	}
	return out, nil
}

// fact is a question, the word that its answer must hold, and the passage that says it.
type fact struct {
	ask, want string
	passage   int
}

// corpus makes passages whose facts are drawn anew: no model can know them.
func corpus() (passages []string, facts, other []fact, unanswerable []string) {
	pick := func(of ...string) string { return of[rand.IntN(len(of))] }
	number := func(from, to int) string { return fmt.Sprint(from + rand.IntN(to-from)) }
	made := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString([]string{pick("K", "V", "Z", "M", "T", "B", "L", "D"), pick("k", "v", "z", "m", "t", "b", "l", "d")}[min(i, 1)])
			b.WriteString(pick("a", "o", "e", "i", "u"))
		}
		return b.String() + pick("n", "r", "x", "s")
	}
	pump, press, company, city, person, supplier := made(2), made(2), made(3), made(3), made(2)+" "+made(3), made(3)
	weight, year, bought, price, days, degrees := number(31, 990), number(1931, 1999), number(2001, 2024), number(210, 980), number(21, 39), number(3, 19)
	code := pick("A", "B", "C", "D") + "-" + number(1000, 9999)
	phone := number(100, 999) + "-" + number(1000, 9999)
	opens := number(6, 9) + ":" + number(10, 59)
	passages = []string{
		fmt.Sprintf("The %s pump stands in hall two. It was built in %s by the engineer %s. The %s pump weighs %s kg and needs a floor of concrete.", pump, year, person, pump, weight),
		fmt.Sprintf("In %s the company bought the %s press for its new hall. The press makes lids for tins. Two people work at it in each shift.", bought, press),
		fmt.Sprintf("The service contract for the %s press costs %s euros a year. It is renewed every spring, and the first visit is free.", press, price),
		fmt.Sprintf("The office in %s has a door with a code lock. The door code of the %s office is %s. Guests wait in the hall until someone opens.", city, city, code),
		fmt.Sprintf("Every employee of %s gets %s days of vacation a year. Days that are left over in December can be taken until March.", company, days),
		fmt.Sprintf("Rubber seals are delivered by the firm %s. They come in boxes of fifty, and an order takes a week.", supplier),
		fmt.Sprintf("Solvent B must be stored at %s degrees Celsius, in a dark room with a lock. Spills are taken up with sand.", degrees),
		fmt.Sprintf("When the fire alarm rings, call the guard at %s and leave the building by the nearest door. Do not use the lift.", phone),
		fmt.Sprintf("On Mondays the canteen opens at %s. On other days it opens half an hour later. There is soup every day.", opens),
		"Bicycles can be left behind the workshop. The roof there was repaired last year, and there are racks for forty of them.",
		"New colleagues get a helmet, shoes and a key card on their first day. The card also pays in the canteen.",
		"Waste paper goes into the blue bins, glass into the green ones. The bins are emptied on Thursday.",
		"Meetings of the works council are held in the small hall. Minutes hang on the board beside the stairs.",
	}
	facts = []fact{
		{"How much does the " + pump + " pump weigh?", weight, 0},
		{"Who built the " + pump + " pump?", person, 0},
		{"In which year was the " + press + " press bought?", bought, 1},
		{"What does the service contract for the " + press + " press cost a year?", price, 2},
		{"What is the door code of the " + city + " office?", code, 3},
		{"How many vacation days does an employee of " + company + " get each year?", days, 4},
		{"Which firm delivers the rubber seals?", supplier, 5},
		{"At which temperature must Solvent B be stored?", degrees, 6},
		{"Which number do I call when the fire alarm rings?", phone, 7},
		{"When does the canteen open on Mondays?", opens, 8},
	}
	// The same facts asked in words that the passages do not use.
	other = []fact{
		{"How heavy is the " + pump + " pump?", weight, 0},
		{"When was the " + pump + " pump constructed?", year, 0},
		{"When did the company acquire the " + press + " press?", bought, 1},
		{"How much do we pay for the maintenance of the " + press + " press?", price, 2},
		{"How do I get into the " + city + " office?", code, 3},
		{"How long a holiday do people at " + company + " have?", days, 4},
		{"Where do our gaskets come from, the seals made of rubber?", supplier, 5},
		{"How cold must Solvent B be kept?", degrees, 6},
		{"Whom do I phone in case of fire?", phone, 7},
		{"At what time can I have lunch at the start of the week?", opens, 8},
	}
	return passages, facts, other, []string{
		"What colour is the " + pump + " pump?", "Who is the chief executive of " + company + "?", "What is the capital of France?", "How many people work in the canteen?",
		"How tall is the " + pump + " pump?", "When was the " + press + " press repaired?", "What is the phone number of the " + city + " office?",
		"What does a litre of Solvent B cost?", "Which firm delivers the helmets?", "On which day does the works council meet?",
	}
}

// TestARealModel asks ten questions whose answers stand in the corpus, and some whose
// answers do not. OUTCROP_REAL_MODEL=1 takes the default model, another value names
// one; OUTCROP_REAL_ROUNDS repeats with other facts.
func TestARealModel(t *testing.T) {
	model := os.Getenv("OUTCROP_REAL_MODEL")
	if model == "" {
		t.Skip("set OUTCROP_REAL_MODEL=1 to run on a real model")
	}
	if model == "1" {
		model = "qwen2.5-coder-1.5b"
	}
	e, err := llamacpp.New(llamacpp.Config{ChatModel: model, EmbeddingModel: "all-minilm-l6-v2", ContextTokens: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rounds := 1
	_, _ = fmt.Sscan(os.Getenv("OUTCROP_REAL_ROUNDS"), &rounds)
	good, all, kept, reworded, refused, asked := 0, 0, 0, 0, 0, 0
	for range rounds {
		h := newHouse(t)
		r := &real{engine: e, model: model}
		passages, facts, other, unanswerable := corpus()
		s := &shelf{engine: e, results: found(passages...)}
		ctx, cancel := context.WithTimeout(h.ctx(""), 9*time.Minute)
		defer cancel()
		if s.vectors, err = s.embed(ctx, passages); err != nil {
			t.Fatal(err)
		}
		h.o.cfg.Models, h.o.cfg.Searcher = r, s
		for i, f := range facts {
			begin := time.Now()
			out, err := h.o.RetrieveAndGenerate(ctx, ask(f.ask))
			if err != nil {
				t.Fatal(err)
			}
			checkReal(t, out)
			why := judge(out, f)
			all++
			if why == "" {
				good++
			}
			t.Logf("%s %q → %q %s (%s)\n   model: %q", mark(why), f.ask, out.Output.Text, why, time.Since(begin).Round(time.Millisecond), r.last)
			if i == 0 { // a question that only its history makes clear
				out, err = h.o.RetrieveAndGenerate(ctx, ask("And who built it?", inSession(out.SessionId)))
				if err != nil {
					t.Fatal(err)
				}
				why = judge(out, facts[1])
				if why == "" {
					kept++
				}
				t.Logf("%s follow-up → %q %s\n   model: %q", mark(why), out.Output.Text, why, r.last)
			}
		}
		for _, f := range other {
			out, err := h.o.RetrieveAndGenerate(ctx, ask(f.ask))
			if err != nil {
				t.Fatal(err)
			}
			checkReal(t, out)
			why := judge(out, f)
			if why == "" {
				reworded++
			}
			t.Logf("%s %q → %q %s\n   model: %q", mark(why), f.ask, out.Output.Text, why, r.last)
		}
		for _, q := range unanswerable {
			out, err := h.o.RetrieveAndGenerate(ctx, ask(q))
			if err != nil {
				t.Fatal(err)
			}
			asked++
			if out.Output.Text == refusal {
				refused++
			}
			t.Logf("%s %q → %q\n   model: %q", mark(map[bool]string{false: "answered"}[out.Output.Text == refusal]), q, out.Output.Text, r.last)
		}
	}
	t.Logf("%d of %d questions answered with a citation that holds the fact, %d of %d follow-ups, %d of %d in other words, %d of %d unanswerable ones refused", good, all, kept, rounds, reworded, 10*rounds, refused, asked)
	if good*10 < all*9 || refused*4 < asked*3 {
		t.Error("that is not enough")
	}
}

func mark(why string) string {
	if why == "" {
		return "✓"
	}
	return "✗"
}

func judge(out *api.RetrieveAndGenerateOutput, f fact) string {
	if !strings.Contains(out.Output.Text, f.want) {
		return "the answer lacks " + f.want
	}
	for _, c := range out.Citations {
		if !strings.Contains(*c.GeneratedResponsePart.TextResponsePart.Text, f.want) {
			continue
		}
		for _, r := range c.RetrievedReferences {
			if *r.Location.S3Location.Uri == fmt.Sprintf("s3://b/%c.txt", 'a'+f.passage) && strings.Contains(*r.Content.Text, f.want) {
				return ""
			}
		}
	}
	return "no citation holds " + f.want
}

// checkReal is checkCitations for answers that may be the refusal.
func checkReal(t *testing.T, out *api.RetrieveAndGenerateOutput) {
	t.Helper()
	if out.Output.Text != refusal {
		checkCitations(t, out)
	}
}

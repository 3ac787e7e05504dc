package handbook

import (
	"embed"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed pages
var pages embed.FS

// Handbook is one drawing of the facts.
type Handbook struct {
	Files     map[string]string // by name
	Questions []Question
	// Unanswerable is about something that no file mentions.
	Unanswerable string
}

// Question is one that the handbook answers.
type Question struct {
	Ask   string
	Facts []string // each stands in a right answer
	File  string   // that holds them
}

// facts of one drawing.
type facts struct {
	Leave, CarryOver, Notice int
	Warranty, Repair         int
	City                     string
	Allowance, Hotel         int
	Buddy, Room              string
	CodeWord                 string
	Badge                    int
	Dish, Opens              string
	Spaces, Level            int
	Receipt, Limit           int
	Network                  string
	Rotation                 int
	Pension, Waiting         int
	Torque                   string
	Lens                     string
	Hours                    int
	Signal, Assembly         string
}

// Draw draws a handbook.
func Draw() (*Handbook, error) {
	pick := func(of ...string) string { return of[rand.IntN(len(of))] }
	between := func(low, high int) int { return low + rand.IntN(high-low+1) }
	f := facts{
		Leave: between(21, 39), CarryOver: between(3, 12), Notice: between(11, 29),
		Warranty: between(13, 71), Repair: between(6, 19),
		City:      pick("Braunmoor", "Kestelford", "Ostvale", "Lindenau", "Tarrowby", "Grimsund"),
		Allowance: between(41, 89), Hotel: between(111, 289),
		Buddy:    pick("Ilse Marrow", "Jon Abernethy", "Priya Venn", "Tomas Rigby", "Ada Quill", "Noor Salter"),
		Room:     fmt.Sprintf("%c%d", 'A'+rune(rand.IntN(6)), between(101, 499)),
		CodeWord: pick("juniper", "marzipan", "cobalt", "saffron", "albatross", "tamarind"), Badge: between(2101, 7999),
		Dish: pick("barley soup", "lentil stew", "mushroom pie", "fish dumplings", "spinach noodles"), Opens: fmt.Sprintf("%d:%02d", between(7, 10), 5*between(1, 11)),
		Spaces: between(31, 199), Level: between(2, 6),
		Receipt: between(14, 28), Limit: between(310, 990),
		Network: "fenn-" + pick("heron", "otter", "plover", "badger", "linnet"), Rotation: between(45, 175),
		Pension: between(4, 13), Waiting: between(3, 17),
		Torque: fmt.Sprintf("%d.%d", between(1, 8), between(1, 9)), Lens: pick("isopropanol", "distilled water", "petroleum ether", "white vinegar"),
		Hours: between(210, 880), Signal: pick("three short tones", "one long tone", "two rising tones", "a steady bell"),
		Assembly: pick("the north car park", "the bicycle shed", "the chestnut tree", "the loading bay"),
	}
	h := &Handbook{Files: make(map[string]string)}
	err := fs.WalkDir(pages, "pages", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		t, err := template.ParseFS(pages, name)
		if err != nil {
			return err
		}
		var b strings.Builder
		if err := t.Option("missingkey=error").Execute(&b, f); err != nil {
			return err
		}
		h.Files[path.Base(name)] = b.String()
		return nil
	})
	if err != nil {
		return nil, err
	}
	n := func(i int) string { return fmt.Sprint(i) }
	h.Questions = []Question{
		{"How many days of annual leave does a full-time employee get?", []string{n(f.Leave)}, "leave.md"},
		{"How long is the warranty of the Meridian theodolite?", []string{n(f.Warranty)}, "warranty.html"},
		{"In which city is the repair workshop?", []string{f.City}, "warranty.html"},
		{"What is the daily allowance on business trips abroad?", []string{n(f.Allowance)}, "travel.txt"},
		{"Who looks after new colleagues in their first week?", []string{f.Buddy}, "onboarding.md"},
		{"What code word must visitors say at the gate?", []string{f.CodeWord}, "security.txt"},
		{"What does the canteen serve on Thursdays?", []string{f.Dish}, "canteen.md"},
		{"What is the name of the wireless network for guests?", []string{f.Network}, "computers.md"},
		{"What percentage of the salary does the firm pay into the pension?", []string{n(f.Pension)}, "pension.txt"},
		{"Where do people gather when the fire alarm sounds?", []string{f.Assembly}, "fire.html"},
	}
	h.Unanswerable = "What is the share price of the firm's largest competitor?"
	return h, nil
}

// Write writes the files into a folder.
func (h *Handbook) Write(dir string) error {
	for name, text := range h.Files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Missing are the facts of a question that an answer does not hold.
func (q *Question) Missing(answer string) []string {
	var missing []string
	plain := strings.ToLower(answer)
	for _, f := range q.Facts {
		if !strings.Contains(plain, strings.ToLower(f)) {
			missing = append(missing, f)
		}
	}
	return missing
}

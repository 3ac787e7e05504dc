package gosdk

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
	"github.com/outcrop-dev/outcrop/test/sdk/programs/go/actions"
)

const (
	question = "In one paragraph, who are you?"
	echo     = "You said: " + question
)

func TestActions(t *testing.T) {
	s := scripted(t)
	models, err := actions.FoundationModels{Client: control(s)}.List(t.Context())
	if err != nil || len(models) < 23 {
		t.Errorf("%d models, %v", len(models), err)
	}
	var shown bytes.Buffer
	w := actions.InvokeModel{Client: runtime(s), Out: &shown}
	for name, ask := range map[string]func() (string, error){
		"Claude":       func() (string, error) { return w.Claude(t.Context(), question) },
		"Jurassic2":    func() (string, error) { return w.Jurassic2(t.Context(), question) },
		"Llama2":       func() (string, error) { return w.Llama2(t.Context(), question) },
		"ClaudeStream": func() (string, error) { return w.ClaudeStream(t.Context(), question) },
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask()
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(got) != echo {
				t.Errorf("got %q", got)
			}
		})
	}
	if strings.TrimSpace(shown.String()) != echo {
		t.Errorf("the stream showed %q", shown.String())
	}
	t.Run("TitanImage", func(t *testing.T) {
		var all []string
		for _, seed := range []int64{7, 7, 2147483646} {
			image, err := w.TitanImage(t.Context(), "stylized picture of a cute old steampunk robot", seed)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, image)
		}
		raw, err := base64.StdEncoding.DecodeString(all[0])
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(raw))
		if err != nil || img.Bounds().Dx() != 512 || img.Bounds().Dy() != 512 {
			t.Errorf("not a PNG of 512x512: %v", err)
		}
		if all[0] != all[1] || all[0] == all[2] {
			t.Errorf("equal seeds equal: %t, other seeds equal: %t", all[0] == all[1], all[0] == all[2])
		}
	})
}

// programs builds the programs and returns the folder they are in.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir+string(filepath.Separator), "../programs/go/...")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

func TestProgramsOfUsers(t *testing.T) {
	s := scripted(t)
	bin := programs(t)
	run := func(t *testing.T, want int, name string, args ...string) (out, dir string) {
		t.Helper()
		dir = t.TempDir()
		out, errs := outcroptest.Run(t, want, dir, s.Home(t), filepath.Join(bin, name), args...)
		if errs != "" {
			t.Errorf("on standard error: %s", errs)
		}
		return out, dir
	}
	has := func(t *testing.T, out string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(out, p) {
				t.Errorf("it printed %q, without %q", out, p)
			}
		}
	}
	t.Run("b02 hello", func(t *testing.T) {
		out, _ := run(t, 0, "hellobedrock")
		has(t, "\n"+out, "\nanthropic.claude-v2:1\n", "\nstability.stable-diffusion-xl-v1\n", "\namazon.titan-embed-text-v1\n")
	})
	for _, region := range []string{"us-east-1", "us-west-2"} {
		t.Run("r01 hello in "+region, func(t *testing.T) {
			out, _ := run(t, 0, "helloruntime", "-region", region)
			has(t, out, "Using AWS region: "+region, "Prompt:\n Hello, how are you today?", "Response from Anthropic Claude:\n You said: Hello, how are you today?")
		})
	}
	t.Run("r01 with an unknown model", func(t *testing.T) {
		out, _ := run(t, 1, "helloruntime", "-model", "anthropic.nope")
		has(t, out, "Error: ", "The provided model identifier is invalid.")
	})
	t.Run("s06 scenario", func(t *testing.T) {
		out, dir := run(t, 0, "scenario")
		has(t, out, "Claude      : "+echo, "Jurassic-2 : "+echo, "Llama 2    : "+echo, "amazon.titan-image-generator-v1_1.png")
		if strings.Contains(out, "Something went wrong") || strings.Contains(out, "unknown tag") || strings.Count(out, echo) != 4 {
			t.Errorf("it printed %q", out)
		}
		if f, err := os.ReadDir(filepath.Join(dir, "output")); err != nil || len(f) != 1 {
			t.Errorf("pictures: %v, %v", f, err)
		}
	})
}

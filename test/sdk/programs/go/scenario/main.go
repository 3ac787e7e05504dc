// Command scenario asks several models in a row and saves a picture.
//
//	Claude ─▶ Jurassic-2 ─▶ Llama 2 ─▶ Claude streamed ─▶ Titan Image ─▶ output/
//
// It is a program as users of the Go SDK write it: it knows nothing of Outcrop.
package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/outcrop-dev/outcrop/test/sdk/programs/go/actions"
)

const (
	textPrompt  = "In one paragraph, who are you?"
	imagePrompt = "stylized picture of a cute old steampunk robot"
)

func main() {
	defer func() {
		if r := recover(); r != nil {
			fmt.Println("Something went wrong with the demo:", r)
		}
	}()
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion("us-east-1"))
	if err != nil {
		slog.Error("no configuration", "error", err)
		return
	}
	w := actions.InvokeModel{Client: bedrockruntime.NewFromConfig(cfg), Out: os.Stdout}
	fmt.Println("Prompt:", textPrompt)
	text(ctx, w.Claude, "Claude      : ")
	text(ctx, w.Jurassic2, "Jurassic-2 : ")
	text(ctx, w.Llama2, "Llama 2    : ")
	fmt.Println("Now with a response stream:")
	must(w.ClaudeStream(ctx, textPrompt))
	fmt.Println("\nImage prompt:", imagePrompt)
	image := must(w.TitanImage(ctx, imagePrompt, rand.Int64N(2147483648)))
	fmt.Println("The image is in", must(save(image, "amazon.titan-image-generator-v1")))
}

func text(ctx context.Context, ask func(context.Context, string) (string, error), name string) {
	fmt.Println(name + strings.TrimSpace(must(ask(ctx, textPrompt))))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// save writes the picture under the smallest free number.
func save(image, modelID string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(image)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll("output", 0o750); err != nil {
		return "", err
	}
	for i := 1; ; i++ {
		path := filepath.Join("output", fmt.Sprintf("%s_%d.png", modelID, i))
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			return "", err
		}
		if _, err := f.Write(b); err != nil {
			f.Close()
			return "", err
		}
		return path, f.Close()
	}
}

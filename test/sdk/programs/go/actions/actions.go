package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	bedrocktypes "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
)

// FoundationModels lists models.
type FoundationModels struct{ Client *bedrock.Client }

// List returns the summaries of all models.
func (w FoundationModels) List(ctx context.Context) ([]bedrocktypes.FoundationModelSummary, error) {
	result, err := w.Client.ListFoundationModels(ctx, &bedrock.ListFoundationModelsInput{})
	if err != nil {
		return nil, fmt.Errorf("couldn't list foundation models: %w", err)
	}
	return result.ModelSummaries, nil
}

// InvokeModel asks models; streamed text goes to Out as it comes.
type InvokeModel struct {
	Client *bedrockruntime.Client
	Out    io.Writer
}

func (w InvokeModel) invoke(ctx context.Context, modelID string, request, response any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	output, err := w.Client.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{
		ModelId: aws.String(modelID), ContentType: aws.String("application/json"), Body: body,
	})
	if err != nil {
		return explain(err, modelID)
	}
	return json.Unmarshal(output.Body, response)
}

// explain adds what a person can do about an error.
func explain(err error, modelID string) error {
	switch msg := err.Error(); {
	case strings.Contains(msg, "no such host"):
		return fmt.Errorf("the Bedrock service is not available in the selected region: %w", err)
	case strings.Contains(msg, "Could not resolve the foundation model"):
		return fmt.Errorf("could not resolve the foundation model from model identifier %q: %w", modelID, err)
	}
	return fmt.Errorf("couldn't invoke model %q: %w", modelID, err)
}

type claudeRequest struct {
	Prompt            string   `json:"prompt"`
	MaxTokensToSample int      `json:"max_tokens_to_sample"`
	Temperature       float64  `json:"temperature,omitempty"`
	StopSequences     []string `json:"stop_sequences,omitempty"`
}

type claudeResponse struct {
	Completion string `json:"completion"`
}

func claude(prompt string) claudeRequest {
	return claudeRequest{
		Prompt: "Human: " + prompt + "\n\nAssistant:", MaxTokensToSample: 200, Temperature: 0.5, StopSequences: []string{"\n\nHuman:"},
	}
}

// Claude asks Anthropic Claude 2.
func (w InvokeModel) Claude(ctx context.Context, prompt string) (string, error) {
	var out claudeResponse
	err := w.invoke(ctx, "anthropic.claude-v2", claude(prompt), &out)
	return out.Completion, err
}

// Jurassic2 asks AI21 Labs Jurassic-2 Mid.
func (w InvokeModel) Jurassic2(ctx context.Context, prompt string) (string, error) {
	var out struct {
		Completions []struct {
			Data struct {
				Text string `json:"text"`
			} `json:"data"`
		} `json:"completions"`
	}
	err := w.invoke(ctx, "ai21.j2-mid-v1", struct {
		Prompt      string  `json:"prompt"`
		MaxTokens   int     `json:"maxTokens,omitempty"`
		Temperature float64 `json:"temperature,omitempty"`
	}{prompt, 200, 0.5}, &out)
	if err != nil {
		return "", err
	}
	return out.Completions[0].Data.Text, nil
}

// Llama2 asks Meta Llama 2 Chat 13B.
func (w InvokeModel) Llama2(ctx context.Context, prompt string) (string, error) {
	var out struct {
		Generation string `json:"generation"`
	}
	err := w.invoke(ctx, "meta.llama2-13b-chat-v1", struct {
		Prompt       string  `json:"prompt"`
		MaxGenLength int     `json:"max_gen_len,omitempty"`
		Temperature  float64 `json:"temperature,omitempty"`
	}{prompt, 512, 0.5}, &out)
	return out.Generation, err
}

// TitanImage asks Amazon Titan Image Generator and returns base64.
func (w InvokeModel) TitanImage(ctx context.Context, prompt string, seed int64) (string, error) {
	type text struct {
		Text string `json:"text"`
	}
	type config struct {
		NumberOfImages int     `json:"numberOfImages"`
		Quality        string  `json:"quality"`
		CfgScale       float64 `json:"cfgScale"`
		Height         int     `json:"height"`
		Width          int     `json:"width"`
		Seed           int64   `json:"seed"`
	}
	var out struct {
		Images []string `json:"images"`
	}
	err := w.invoke(ctx, "amazon.titan-image-generator-v1", struct {
		TaskType string `json:"taskType"`
		Params   text   `json:"textToImageParams"`
		Config   config `json:"imageGenerationConfig"`
	}{"TEXT_IMAGE", text{prompt}, config{1, "standard", 8.0, 512, 512, seed}}, &out)
	if err != nil {
		return "", err
	}
	return out.Images[0], nil
}

// ClaudeStream asks Anthropic Claude 2, prints the pieces as they come and
// returns the whole. Like many programs it does not look at the stream's error.
func (w InvokeModel) ClaudeStream(ctx context.Context, prompt string) (string, error) {
	body, err := json.Marshal(claude(prompt))
	if err != nil {
		return "", err
	}
	output, err := w.Client.InvokeModelWithResponseStream(ctx, &bedrockruntime.InvokeModelWithResponseStreamInput{
		ModelId: aws.String("anthropic.claude-v2"), ContentType: aws.String("application/json"), Body: body,
	})
	if err != nil {
		return "", explain(err, "anthropic.claude-v2")
	}
	var whole strings.Builder
	for event := range output.GetStream().Events() {
		switch v := event.(type) {
		case *types.ResponseStreamMemberChunk:
			var piece claudeResponse
			if err := json.Unmarshal(v.Value.Bytes, &piece); err != nil {
				return "", err
			}
			fmt.Fprint(w.Out, piece.Completion)
			whole.WriteString(piece.Completion)
		case *types.UnknownUnionMember:
			fmt.Fprintln(w.Out, "unknown tag:", v.Tag)
		default:
			fmt.Fprintln(w.Out, "union is nil or unknown type")
		}
	}
	return whole.String(), nil
}

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Config of a demonstration.
type Config struct {
	Endpoint  string
	AccessKey string
	SecretKey string
	Region    string
	Model     string    // "" is a Claude id, to show that AWS's ids work
	Out       io.Writer // what a person sees
}

// demo is one run.
type demo struct {
	Config
	control *bedrock.Client
	runtime *bedrockruntime.Client
	agents  *bedrockagent.Client

	agentRuntime *bedrockagentruntime.Client
	aws          aws.Config
}

// Run does the steps in order and returns the first failure, named after its step.
func Run(ctx context.Context, c Config) error {
	if c.Model == "" {
		c.Model = "anthropic.claude-3-haiku-20240307-v1:0"
	}
	cfg := aws.Config{
		Region: c.Region, BaseEndpoint: aws.String(c.Endpoint), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, ""),
	}
	d := &demo{
		Config: c, control: bedrock.NewFromConfig(cfg), runtime: bedrockruntime.NewFromConfig(cfg), agents: bedrockagent.NewFromConfig(cfg),
		agentRuntime: bedrockagentruntime.NewFromConfig(cfg), aws: cfg,
	}
	for i, s := range []struct {
		name string
		do   func(*demo, context.Context) error
	}{
		{"list the models", (*demo).models},
		{"a streamed conversation", (*demo).stream},
		{"a tool call, executed", (*demo).tools},
		{"an agent that calls a function", (*demo).agent},
		{"a knowledge base that answers with citations", (*demo).knowledge},
	} {
		d.print("\n── %d. %s\n", i+1, s.name)
		start := time.Now()
		if err := s.do(d, ctx); err != nil {
			return fmt.Errorf("demo step %d (%s): %w", i+1, s.name, err)
		}
		d.print("   %s\n", time.Since(start).Round(time.Millisecond))
	}
	d.print("\nThe same endpoint serves the AWS CLI, boto3, the JavaScript and Go SDKs: see `outcrop env`.\n")
	return nil
}

func (d *demo) print(format string, args ...any) { fmt.Fprintf(d.Out, format, args...) }

func (d *demo) models(ctx context.Context) error {
	out, err := d.control.ListFoundationModels(ctx, &bedrock.ListFoundationModelsInput{})
	if err != nil {
		return err
	}
	if len(out.ModelSummaries) == 0 {
		return errors.New("the list is empty")
	}
	d.print("   %d foundation models, among them %s\n", len(out.ModelSummaries), d.Model)
	return nil
}

const question = "In two sentences: what is an outcrop in geology, and why do geologists like them?"

func (d *demo) stream(ctx context.Context) error {
	d.print("   > %s\n   < ", question)
	start := time.Now()
	out, err := d.runtime.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{
		ModelId:         &d.Model,
		Messages:        []types.Message{user(question)},
		InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(160), Temperature: aws.Float32(0)},
	})
	if err != nil {
		return err
	}
	stream := out.GetStream()
	defer stream.Close()
	var text strings.Builder
	var first time.Duration
	var usage *types.TokenUsage
	for e := range stream.Events() {
		switch e := e.(type) {
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			if t, ok := e.Value.Delta.(*types.ContentBlockDeltaMemberText); ok {
				if first == 0 {
					first = time.Since(start)
				}
				text.WriteString(t.Value)
				d.print("%s", strings.ReplaceAll(t.Value, "\n", "\n     "))
			}
		case *types.ConverseStreamOutputMemberMetadata:
			usage = e.Value.Usage
		}
	}
	d.print("\n")
	if err := stream.Err(); err != nil {
		return err
	}
	if strings.TrimSpace(text.String()) == "" {
		return errors.New("the model answered nothing")
	}
	if usage == nil {
		return errors.New("the stream ended without its metadata event")
	}
	d.print("   first token after %s, %d tokens in, %d out, answered by %s\n", first.Round(time.Millisecond),
		aws.ToInt32(usage.InputTokens), aws.ToInt32(usage.OutputTokens), servedBy(out.ResultMetadata))
	return nil
}

// tools runs a tool loop. The fact that the tool returns is drawn at random, so
// that it can only be in the answer if the model took it from the result.
func (d *demo) tools(ctx context.Context) error {
	claim := fmt.Sprintf("CLM-%04d", 1000+rand.IntN(9000))
	amount := fmt.Sprint(1100 + rand.IntN(8000))
	ask := "What is the approved amount of insurance claim " + claim + "?"
	d.print("   > %s\n", ask)
	messages := []types.Message{user(ask)}
	called := false
	for range 4 {
		out, err := d.runtime.Converse(ctx, &bedrockruntime.ConverseInput{
			ModelId: &d.Model, Messages: messages, ToolConfig: claimTool(),
			System:          []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: "You answer questions about insurance claims. Look claims up with the tool."}},
			InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(200), Temperature: aws.Float32(0)},
		})
		if err != nil {
			return err
		}
		msg := out.Output.(*types.ConverseOutputMemberMessage).Value
		messages = append(messages, msg)
		var results []types.ContentBlock
		var text strings.Builder
		for _, b := range msg.Content {
			switch b := b.(type) {
			case *types.ContentBlockMemberText:
				text.WriteString(b.Value)
			case *types.ContentBlockMemberToolUse:
				var in struct {
					ClaimID string `document:"claimId"`
				}
				if err := b.Value.Input.UnmarshalSmithyDocument(&in); err != nil {
					return fmt.Errorf("read the tool's input: %w", err)
				}
				d.print("   ⚙ %s(claimId=%q)\n", aws.ToString(b.Value.Name), in.ClaimID)
				result := map[string]any{"error": "no such claim"}
				if in.ClaimID == claim {
					called = true
					result = map[string]any{"claimId": claim, "status": "approved", "approvedAmountUsd": amount}
				}
				results = append(results, &types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{
					ToolUseId: b.Value.ToolUseId,
					Content:   []types.ToolResultContentBlock{&types.ToolResultContentBlockMemberJson{Value: document.NewLazyDocument(result)}},
				}})
			}
		}
		if len(results) == 0 {
			d.print("   < %s\n", strings.TrimSpace(text.String()))
			switch digits := strings.NewReplacer(",", "", ".", "", " ", "").Replace(text.String()); {
			case !called:
				return errors.New("the model answered without looking the claim up")
			case !strings.Contains(digits, amount):
				return fmt.Errorf("the answer does not hold the amount %s that the tool returned", amount)
			}
			return nil
		}
		messages = append(messages, types.Message{Role: types.ConversationRoleUser, Content: results})
	}
	return errors.New("the model kept calling tools and never answered")
}

func claimTool() *types.ToolConfiguration {
	return &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
		Name: aws.String("getClaim"), Description: aws.String("Looks up one insurance claim and returns its status and approved amount."),
		InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{
			"type": "object", "required": []string{"claimId"},
			"properties": map[string]any{"claimId": map[string]any{"type": "string", "description": "id of the claim, such as CLM-1234"}},
		})},
	}}}}
}

func user(text string) types.Message {
	return types.Message{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: text}}}
}

// servedBy returns the local model that the server says answered.
func servedBy(m middleware.Metadata) string {
	if r, ok := awsmiddleware.GetRawResponse(m).(*smithyhttp.Response); ok {
		if name := r.Header.Get("X-Outcrop-Model"); name != "" {
			return name
		}
	}
	return "an unnamed model"
}

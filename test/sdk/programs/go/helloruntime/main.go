// Command helloruntime asks Claude 2 how it is today.
//
//	-region, -model ─▶ InvokeModel ─▶ prompt and answer
//
// It is a program as users of the Go SDK write it: it knows nothing of Outcrop.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
)

type request struct {
	Prompt            string   `json:"prompt"`
	MaxTokensToSample int      `json:"max_tokens_to_sample"`
	Temperature       float64  `json:"temperature,omitempty"`
	TopP              float64  `json:"top_p,omitempty"`
	TopK              int      `json:"top_k,omitempty"`
	StopSequences     []string `json:"stop_sequences,omitempty"`
}

type response struct {
	Completion string `json:"completion"`
}

func main() {
	region := flag.String("region", "us-east-1", "the AWS region")
	modelID := flag.String("model", "anthropic.claude-v2", "the model to ask")
	flag.Parse()
	fmt.Printf("Using AWS region: %s\n", *region)
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithRegion(*region))
	if err != nil {
		fmt.Println("Couldn't load default configuration. Have you set up your AWS account?")
		fmt.Println(err)
		return
	}
	client := bedrockruntime.NewFromConfig(cfg)
	prompt := "Hello, how are you today?"
	body, err := json.Marshal(request{Prompt: "Human: " + prompt + "\n\nAssistant:", MaxTokensToSample: 200})
	if err != nil {
		fmt.Println("Couldn't marshal the request: ", err)
		os.Exit(1)
	}
	result, err := client.InvokeModel(context.Background(), &bedrockruntime.InvokeModelInput{
		ModelId: modelID, ContentType: aws.String("application/json"), Body: body,
	})
	if err != nil {
		switch msg := err.Error(); {
		case strings.Contains(msg, "no such host"):
			fmt.Printf("Error: The Bedrock service is not available in the selected region.\n")
		case strings.Contains(msg, "Could not resolve the foundation model"):
			fmt.Printf("Error: Could not resolve the foundation model from model identifier: \"%s\".\n", *modelID)
		default:
			fmt.Printf("Error: Couldn't invoke the model. Here's why: %v\n", err)
		}
		os.Exit(1)
	}
	var answer response
	if err := json.Unmarshal(result.Body, &answer); err != nil {
		fmt.Println("Couldn't read the response: ", err)
		os.Exit(1)
	}
	fmt.Println("Prompt:\n", prompt)
	fmt.Println("Response from Anthropic Claude:\n", answer.Completion)
}

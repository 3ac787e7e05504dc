// Command hellobedrock lists the ids of the foundation models.
//
//	AWS configuration ─▶ ListFoundationModels ─▶ one id per line
//
// It is a program as users of the Go SDK write it: it knows nothing of Outcrop.
package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
)

const region = "us-east-1"

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithRegion(region))
	if err != nil {
		fmt.Println("Couldn't load default configuration. Have you set up your AWS account?")
		fmt.Println(err)
		return
	}
	client := bedrock.NewFromConfig(cfg)
	result, err := client.ListFoundationModels(context.Background(), &bedrock.ListFoundationModelsInput{})
	if err != nil {
		fmt.Printf("Couldn't list foundation models. Here's why: %v\n", err)
		return
	}
	if len(result.ModelSummaries) == 0 {
		fmt.Println("There are no foundation models.")
	}
	for _, summary := range result.ModelSummaries {
		fmt.Println(*summary.ModelId)
	}
}

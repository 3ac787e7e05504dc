package demo

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"

	"github.com/outcrop-dev/outcrop/internal/demo/insurance"
	"github.com/outcrop-dev/outcrop/internal/tracetree"
)

// agent builds the insurance agent as a user would, roles and function included,
// and asks it. The documents that are missing are drawn at random: they stand in
// the answer only if the agent called the function.
func (d *demo) agent(ctx context.Context) error {
	if _, err := exec.LookPath("python3"); err != nil {
		return errors.New("this step runs a Lambda function in Python: install Python 3 and try again")
	}
	claims := insurance.Draw(3)
	d.print("   making two roles, a Lambda function, and an agent with an action group\n")
	made, err := insurance.Make(ctx, d.aws, d.Model, claims)
	if err != nil {
		return err
	}
	ask := "Which documents are missing for " + claims[0].ID + "?"
	d.print("   > %s\n", ask)
	out, err := d.agentRuntime.InvokeAgent(ctx, &bedrockagentruntime.InvokeAgentInput{
		AgentId: &made.ID, AgentAliasId: &made.Alias, SessionId: aws.String("demo"), InputText: &ask, EnableTrace: aws.Bool(true),
	})
	if err != nil {
		return err
	}
	tree := tracetree.Tree{Out: d.Out, Indent: "   "}
	tree.Start()
	var text strings.Builder
	stream := out.GetStream()
	defer stream.Close()
	for e := range stream.Events() {
		switch e := e.(type) {
		case *runtimetypes.ResponseStreamMemberTrace:
			tree.Trace(&e.Value)
		case *runtimetypes.ResponseStreamMemberChunk:
			text.Write(e.Value.Bytes)
		}
	}
	if err := stream.Err(); err != nil {
		return err
	}
	d.print("   < %s\n", strings.TrimSpace(text.String()))
	in, written, calls, actions := tree.Totals()
	d.print("   %d calls of the model, %d of the function, %d tokens in, %d out\n", calls, actions, in, written)
	if actions == 0 {
		return errors.New("the agent answered without calling its function")
	}
	for doc := range strings.SplitSeq(claims[0].Documents, ", ") {
		if !insurance.Mentions(text.String(), doc) {
			return fmt.Errorf("the answer does not name %s, which the function returned", doc)
		}
	}
	return nil
}

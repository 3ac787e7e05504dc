package inference

import (
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
)

// checkTurns checks the order of a conversation, in the words of the service.
// hasTools says whether toolConfig was given.
func checkTurns(messages []bedrockruntime.Message, hasTools bool) error {
	if len(messages) == 0 || messages[0].Role != bedrockruntime.ConversationRoleUser {
		return invalid("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
	}
	var open []string // ids of the tool calls of the turn before
	for i := range messages {
		m := &messages[i]
		if i > 0 && m.Role == messages[i-1].Role {
			return invalid("A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.")
		}
		if len(m.Content) == 0 {
			return invalid("The content field in the Message object at messages.%d is empty. Add a ContentBlock object to the content field and try again.", i)
		}
		calls, results, err := checkBlocks(m, i, hasTools)
		if err != nil {
			return err
		}
		if err := checkResults(i, open, results); err != nil {
			return err
		}
		open = calls
	}
	if len(open) > 0 {
		return missingResults(len(messages), open)
	}
	return nil
}

// checkBlocks checks the blocks of one message and returns the ids of its tool
// calls and tool results.
func checkBlocks(m *bedrockruntime.Message, i int, hasTools bool) (calls, results []string, err error) {
	user := m.Role == bedrockruntime.ConversationRoleUser
	for j := range m.Content {
		b := &m.Content[j]
		switch {
		case b.Text != nil && strings.TrimSpace(*b.Text) == "":
			return nil, nil, invalid("The text field in the ContentBlock object at messages.%d.content.%d is blank. Add text to the text field, and try again.", i, j)
		case (b.ToolUse != nil || b.ToolResult != nil) && !hasTools:
			return nil, nil, invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
		case b.ToolUse != nil && user:
			return nil, nil, invalid("The toolUse block at messages.%d.content.%d is in a message of the user. Only messages of the assistant can have toolUse blocks.", i, j)
		case b.ToolUse != nil:
			calls = append(calls, b.ToolUse.ToolUseId)
		case b.ToolResult != nil && !user:
			return nil, nil, invalid("The toolResult block at messages.%d.content.%d is in a message of the assistant. Only messages of the user can have toolResult blocks.", i, j)
		case b.ToolResult != nil:
			results = append(results, b.ToolResult.ToolUseId)
		case b.ReasoningContent != nil && user:
			return nil, nil, invalid("The reasoningContent block at messages.%d.content.%d is in a message of the user. Only messages of the assistant can have reasoningContent blocks.", i, j)
		case !user && (b.Image != nil || b.Document != nil || b.Video != nil || b.Audio != nil):
			return nil, nil, invalid("The block at messages.%d.content.%d is in a message of the assistant. Only messages of the user can have images, documents, video and audio.", i, j)
		}
	}
	if d := duplicate(calls); d != "" {
		return nil, nil, invalid("The toolUse blocks at messages.%d.content contain duplicate Ids: %s", i, d)
	}
	if d := duplicate(results); d != "" {
		return nil, nil, invalid("The toolResult blocks at messages.%d.content contain duplicate Ids: %s", i, d)
	}
	return calls, results, nil
}

func duplicate(ids []string) string {
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			return id
		}
	}
	return ""
}

// checkResults wants the tool results of message i to answer the open calls, all
// of them and nothing else.
func checkResults(i int, open, results []string) error {
	if len(results) > len(open) {
		return invalid("The number of toolResult blocks at messages.%d.content exceeds the number of toolUse blocks of previous turn.", i)
	}
	for _, id := range open {
		if !slices.Contains(results, id) {
			return missingResults(i, open)
		}
	}
	return nil
}

func missingResults(i int, open []string) error {
	return invalid("Expected toolResult blocks at messages.%d.content for the following Ids: %s", i, strings.Join(open, ", "))
}

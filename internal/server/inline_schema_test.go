package server

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

// An inline agent whose action group is an OpenAPI document, in the request and in S3.
func TestAnInlineAgentReadsAnOpenAPIDocument(t *testing.T) {
	const doc = `openapi: 3.0.0
paths:
  /weather/{place}:
    get:
      operationId: getWeather
      description: Tells the weather of a place.
      parameters: [{name: place, in: path, description: A town., required: true}]
      responses: {200: {description: The weather.}}
`
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		for _, want := range []string{`"apiPath":"/weather/{place}"`, `"httpMethod":"GET"`, `"value":"Seoul"`} {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s is not in %s", want, b)
			}
		}
		_, _ = io.WriteString(w, `{"messageVersion":"1.0","response":{"actionGroup":"weather","apiPath":"/weather/{place}","httpMethod":"GET","httpStatusCode":200,"responseBody":{"application/json":{"body":"rain in Seoul"}}}}`)
	}))
	defer hook.Close()
	rules := t.TempDir() + "/rules.yaml"
	script := `rules:
  - when: {tool_result: "."}
    reply: {text: "The tool said {{.ToolResult}}"}
  - when: {user: weather}
    reply: {tool_calls: [{name: get__weather__getWeather, arguments: {place: Seoul}}]}
`
	if err := os.WriteFile(rules, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, _, _ := start(t, "--engine", "script:"+rules, "--function", "weather="+hook.URL)
	hc := freshClient(t)
	keys := credentials.NewStaticCredentialsProvider(conn.AccessKey, conn.SecretKey, "")
	files := awss3.New(awss3.Options{Region: conn.Region, BaseEndpoint: aws.String(conn.Endpoint), UsePathStyle: true, RetryMaxAttempts: 1, HTTPClient: hc, Credentials: keys})
	c := bedrockagentruntime.New(bedrockagentruntime.Options{Region: conn.Region, BaseEndpoint: aws.String(conn.Endpoint), RetryMaxAttempts: 1, HTTPClient: hc, Credentials: keys})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if _, err := files.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("schemas")}); err != nil {
		t.Fatal(err)
	}
	if _, err := files.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String("schemas"), Key: aws.String("weather.yaml"), Body: strings.NewReader(doc)}); err != nil {
		t.Fatal(err)
	}
	inS3 := func(key string) types.APISchema {
		return &types.APISchemaMemberS3{Value: types.S3Identifier{S3BucketName: aws.String("schemas"), S3ObjectKey: aws.String(key)}}
	}
	for name, tt := range map[string]struct {
		schema     types.APISchema
		text, fail string
	}{
		"payload":       {schema: &types.APISchemaMemberPayload{Value: doc}, text: "The tool said rain in Seoul"},
		"object":        {schema: inS3("weather.yaml"), text: "The tool said rain in Seoul"},
		"broken":        {schema: &types.APISchemaMemberPayload{Value: strings.Replace(doc, "responses", "response", 1)}, fail: "for action: weather {APISchemaException=[attribute paths.'/weather/{place}'(get).responses is missing]}"},
		"object absent": {schema: inS3("other.yaml"), fail: "could not be read from s3://schemas/other.yaml: there is no such object."},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := c.InvokeInlineAgent(ctx, &bedrockagentruntime.InvokeInlineAgentInput{
				FoundationModel: aws.String(haiku), Instruction: aws.String("You tell people what the weather is like, anywhere."), SessionId: aws.String("weather-" + strings.ReplaceAll(name, " ", "-")), InputText: aws.String("weather?"),
				ActionGroups: []types.AgentActionGroup{{
					ActionGroupName: aws.String("weather"), ActionGroupExecutor: &types.ActionGroupExecutorMemberLambda{Value: "arn:aws:lambda:us-east-1:123456789012:function:weather"}, ApiSchema: tt.schema,
				}},
			})
			if tt.fail != "" {
				if err == nil || !strings.Contains(err.Error(), "ValidationException") || !strings.Contains(err.Error(), tt.fail) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			s := out.GetStream()
			defer s.Close()
			text := ""
			for e := range s.Events() {
				if chunk, ok := e.(*types.InlineAgentResponseStreamMemberChunk); ok {
					text += string(chunk.Value.Bytes)
				}
			}
			if err := s.Err(); err != nil || text != tt.text {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
}

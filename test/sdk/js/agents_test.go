package js

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// The JavaScript SDK builds and invokes an agent; its streams hold nothing that the
// SDK does not know, and each union one member.
func TestAgents(t *testing.T) {
	rules, err := filepath.Abs(filepath.Join("..", "..", "acceptance", "testdata", "agents.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s := outcroptest.Start(t, "--engine", "script:"+rules)
	client := iam.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(s.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(s.Getenv("AWS_ACCESS_KEY_ID"), s.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	})
	role, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName:                 aws.String("agents"),
		AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: aws.String("agents"), PolicyName: aws.String("p"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel*","Resource":"*"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	node, dir := project(t)
	out, _ := outcroptest.Run(t, 0, dir, append(s.Home(t), "ROLE="+*role.Role.Arn), node, "agents.mjs")
	got := map[string]string{}
	for line := range strings.Lines(out) {
		var v said
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got[v.Check] = string(v.Value)
	}
	for check, want := range map[string]string{
		"lists":   `{"names":["from-js"],"manual":["from-js"]}`,
		"groups":  `["outside"]`,
		"korean":  `{"text":"안녕하세요 🎉","session":"js:2","type":"application/json"}`,
		"control": `{"text":"","seen":["modelInvocationInput","modelInvocationOutput","invocationInput"],"inputs":[{"functionInvocationInput":{`,
		"answer":  `{"text":"It is rainy.","seen":["observation","modelInvocationInput","modelInvocationOutput","observation"]}`,
		"inline":  `{"text":"I follow the first instruction.","seen":["modelInvocationInput","modelInvocationOutput","observation"]}`,
	} {
		if !strings.HasPrefix(got[check], want) {
			t.Errorf("%s: %s, want %s", check, got[check], want)
		}
	}
}

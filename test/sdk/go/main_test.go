package gosdk

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	outcroptest.Clean()
	os.Exit(code)
}

func scripted(t *testing.T) *outcroptest.Server {
	t.Helper()
	rules, err := filepath.Abs(filepath.Join("..", "python", "testdata", "checks.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return outcroptest.Start(t, "--engine", "script:"+rules)
}

func config(s *outcroptest.Server) aws.Config {
	return aws.Config{
		Region: s.Getenv("AWS_REGION"), BaseEndpoint: aws.String(s.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(s.Getenv("AWS_ACCESS_KEY_ID"), s.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	}
}

func control(s *outcroptest.Server) *bedrock.Client { return bedrock.NewFromConfig(config(s)) }
func runtime(s *outcroptest.Server) *bedrockruntime.Client {
	return bedrockruntime.NewFromConfig(config(s))
}

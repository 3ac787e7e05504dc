package config

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, env map[string]string, args ...string) (Config, error) {
	t.Helper()
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return Load(fs, args, func(k string) string { return env[k] })
}

func TestTheRightSpellingWins(t *testing.T) {
	file := filepath.Join(t.TempDir(), "o.yaml")
	if err := os.WriteFile(file, []byte("region: eu-west-1\naccount: \"111111111111\"\ngrace: 5s\nalias:\n  anthropic.*: a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, map[string]string{"OUTCROP_ACCOUNT": "222222222222", "OUTCROP_REGION": "eu-west-2", "OUTCROP_OFFLINE": "1"},
		"--region", "eu-west-3", "--config", file, "--alias", "meta.*=b", "--port-per-service")
	if err != nil {
		t.Fatal(err)
	}
	if c.Region != "eu-west-3" || c.Account != "222222222222" || c.Grace != 5*time.Second || !c.Offline || !c.Ports {
		t.Errorf("got region %s account %s grace %s offline %v ports %v", c.Region, c.Account, c.Grace, c.Offline, c.Ports)
	}
	if c.Aliases["anthropic.*"] != "a" || c.Aliases["meta.*"] != "b" {
		t.Errorf("got aliases %v, want the file's and the flag's", c.Aliases)
	}
	if c, err := load(t, nil, "--function", "weather=http://u:p@h:1/x?a=b", "--function", "arn:aws:lambda:us-east-1:123456789012:function:*=lambda+https://h"); err != nil || c.Functions["weather"] != "http://u:p@h:1/x?a=b" || len(c.Functions) != 2 {
		t.Errorf("got functions %v, %v", c.Functions, err)
	}
	if c.Engine != "auto" {
		t.Errorf("got engine %q, want the default auto", c.Engine)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	unknown := filepath.Join(t.TempDir(), "o.yaml")
	if err := os.WriteFile(unknown, []byte("regoin: eu-west-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"account":                     {[]string{"--account", "12"}, "--account"},
		"auth off beyond loopback":    {[]string{"--auth", "off", "--listen", "0.0.0.0:80"}, "off is refused"},
		"engine":                      {[]string{"--engine", "gpt"}, "--engine"},
		"lambda network":              {[]string{"--lambda-network", "all"}, "--lambda-network"},
		"duration":                    {[]string{"--grace", "soon"}, "grace"},
		"an unknown key of the file":  {[]string{"--config", unknown}, "regoin"},
		"a file that does not exist":  {[]string{"--config", unknown + "x"}, "read settings"},
		"an argument without a flag":  {[]string{"serve"}, "unexpected argument"},
		"an alias without its target": {[]string{"--alias", "anthropic"}, "AWS-ID=MODEL"},
		"a function without its URL":  {[]string{"--function", "weather"}, "FUNCTION=URL"},
		"a root key at no place":      {[]string{"--root-key", "file:"}, "--root-key"},
		"a function at no URL":        {[]string{"--function", "weather=127.0.0.1:80"}, "--function: the address of weather"},
		"a function of no name":       {[]string{"--function", "a*b=http://h"}, "--function: \"a*b\""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, nil, tc.args...)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error that says %q", err, tc.want)
			}
		})
	}
}

func TestAuthOffIsForLoopback(t *testing.T) {
	for _, l := range []string{"127.0.0.1:0", "[::1]:0", "localhost:4580"} {
		if _, err := load(t, nil, "--auth", "off", "--listen", l); err != nil {
			t.Errorf("%s: %v", l, err)
		}
	}
}

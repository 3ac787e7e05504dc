package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/server"
)

func printEnv(ctx context.Context, e *env, args []string) error {
	fs := e.flags("env")
	data := fs.String("data", e.getenv("OUTCROP_DATA"), "data folder of the server")
	profile := fs.String("profile", "", "write the keys as this profile of the AWS configuration instead of printing variables")
	wait := fs.Duration("wait", 5*time.Second, "how long to wait for a server that is just starting")
	if err := fs.Parse(args); err != nil {
		return usageError{err}
	}
	if *data == "" {
		*data = config.DefaultData()
	}
	c, err := waitConnection(ctx, *data, *wait)
	if err != nil {
		return err
	}
	if *profile != "" {
		return writeProfile(e, *profile, c)
	}
	for _, kv := range [][2]string{
		{"AWS_ENDPOINT_URL", c.Endpoint}, {"AWS_ACCESS_KEY_ID", c.AccessKey}, {"AWS_SECRET_ACCESS_KEY", c.SecretKey},
		{"AWS_REGION", c.Region}, {"AWS_DEFAULT_REGION", c.Region}, {"AWS_CA_BUNDLE", c.CABundle},
	} {
		if kv[1] != "" {
			fmt.Fprintf(e.stdout, "export %s=%s\n", kv[0], quote(kv[1]))
		}
	}
	// A session token or profile of another account would be sent along with these keys.
	fmt.Fprintln(e.stdout, "unset AWS_SESSION_TOKEN AWS_PROFILE")
	return nil
}

// waitConnection gives a server that was started a moment ago, on the line
// before, the time to say where it is.
func waitConnection(ctx context.Context, data string, wait time.Duration) (*server.Connection, error) {
	deadline := time.Now().Add(wait)
	for {
		c, err := server.ReadConnection(data)
		if err == nil || time.Now().After(deadline) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// quote makes s one word of a shell.
func quote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=:._-[]", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// writeProfile adds or replaces a profile in the two files of the AWS
// configuration, for programs that name a profile and so ignore variables.
func writeProfile(e *env, name string, c *server.Connection) error {
	dir, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, ".aws")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file := func(variable, name string) string {
		if v := e.getenv(variable); v != "" {
			return v
		}
		return filepath.Join(dir, name)
	}
	section := "profile " + name
	if name == "default" {
		section = name
	}
	creds, conf := file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), file("AWS_CONFIG_FILE", "config")
	if err := setSection(creds, name, "aws_access_key_id = "+c.AccessKey+"\naws_secret_access_key = "+c.SecretKey+"\n"); err != nil {
		return err
	}
	if err := setSection(conf, section, "region = "+c.Region+"\nendpoint_url = "+c.Endpoint+"\n"); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "profile %s now stands in %s and %s\n", name, creds, conf)
	return nil
}

// setSection replaces the body of [name] in an INI file and leaves the rest as it is.
func setSection(path, name, body string) error {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	var out strings.Builder
	skip := false
	for line := range strings.Lines(string(old)) {
		if t := strings.TrimSpace(line); strings.HasPrefix(t, "[") {
			skip = t == "["+name+"]"
		}
		if !skip {
			out.WriteString(line)
		}
	}
	if s := out.String(); s != "" && !strings.HasSuffix(s, "\n") {
		out.WriteString("\n")
	}
	out.WriteString("[" + name + "]\n" + body)
	return os.WriteFile(path, []byte(out.String()), 0o600)
}

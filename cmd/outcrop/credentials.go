package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/server"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

const credentialsUsage = `usage: outcrop credentials list [--user NAME]              keys of a user
       outcrop credentials create [--user NAME] [--bearer]  a new access key, or a Bedrock API key
       outcrop credentials rm [--user NAME] ID              remove a key`

// credentials works on the keys of a running server, as the administrator and
// over the wire: so it needs no right that an IAM client has not.
func credentialsVerb(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 {
		return usage("%s", credentialsUsage)
	}
	fs := e.flags("credentials " + args[0])
	data := fs.String("data", e.getenv("OUTCROP_DATA"), "data folder of the server")
	user := fs.String("user", "admin", "whose keys")
	bearer := fs.Bool("bearer", false, "make an API key for bedrock and bedrock-runtime (AWS_BEARER_TOKEN_BEDROCK)")
	if err := fs.Parse(args[1:]); err != nil {
		return usageError{err}
	}
	c, err := account(ctx, *data)
	if err != nil {
		return err
	}
	switch id := fs.Arg(0); args[0] {
	case "list":
		return c.list(ctx, e, *user)
	case "create":
		return c.create(ctx, e, *user, *bearer)
	case "rm":
		if id == "" {
			return usage("say the ID of the key; `outcrop credentials list` shows them")
		}
		if strings.HasPrefix(id, "AKIA") {
			return c.call(ctx, "DeleteAccessKey", url.Values{"UserName": {*user}, "AccessKeyId": {id}}, nil)
		}
		return c.call(ctx, "DeleteServiceSpecificCredential", url.Values{"UserName": {*user}, "ServiceSpecificCredentialId": {id}}, nil)
	}
	return usage("%s", credentialsUsage)
}

// iamClient asks the IAM of a running server.
type iamClient struct{ conn *server.Connection }

func account(ctx context.Context, data string) (iamClient, error) {
	if data == "" {
		data = config.DefaultData()
	}
	c, err := waitConnection(ctx, data, 2*time.Second)
	return iamClient{c}, err
}

// call sends one action and decodes the answer into out, unless it is nil.
func (c iamClient) call(ctx context.Context, action string, in url.Values, out any) error {
	in.Set("Action", action)
	in.Set("Version", "2010-05-08")
	body := in.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.conn.Endpoint+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	sigv4.Sign(r, sigv4.Credentials{AccessKeyID: c.conn.AccessKey, SecretAccessKey: c.conn.SecretKey}, "us-east-1", "iam", time.Now(), sigv4.HashPayload([]byte(body)))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("ask the server on %s: %w", c.conn.Endpoint, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var f struct {
			Code    string `xml:"Error>Code"`
			Message string `xml:"Error>Message"`
		}
		if xml.Unmarshal(b, &f) != nil || f.Code == "" {
			return fmt.Errorf("%s: the server answered %s", action, resp.Status)
		}
		return fmt.Errorf("%s: %s", f.Code, f.Message)
	}
	if out == nil {
		return nil
	}
	return xml.Unmarshal(b, out)
}

func (c iamClient) list(ctx context.Context, e *env, user string) error {
	var keys struct {
		Keys []struct{ AccessKeyId, Status, CreateDate string } `xml:"ListAccessKeysResult>AccessKeyMetadata>member"`
	}
	var tokens struct {
		Keys []struct{ ServiceSpecificCredentialId, Status, CreateDate, ExpirationDate string } `xml:"ListServiceSpecificCredentialsResult>ServiceSpecificCredentials>member"`
	}
	if err := c.call(ctx, "ListAccessKeys", url.Values{"UserName": {user}}, &keys); err != nil {
		return err
	}
	if err := c.call(ctx, "ListServiceSpecificCredentials", url.Values{"UserName": {user}}, &tokens); err != nil {
		return err
	}
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tKIND\tSTATUS\tCREATED\tEXPIRES")
	for _, k := range keys.Keys {
		fmt.Fprintf(t, "%s\taccess key\t%s\t%s\t\n", k.AccessKeyId, k.Status, k.CreateDate)
	}
	for _, k := range tokens.Keys {
		fmt.Fprintf(t, "%s\tAPI key\t%s\t%s\t%s\n", k.ServiceSpecificCredentialId, k.Status, k.CreateDate, k.ExpirationDate)
	}
	return t.Flush()
}

func (c iamClient) create(ctx context.Context, e *env, user string, bearer bool) error {
	if bearer {
		var out struct {
			Token string `xml:"CreateServiceSpecificCredentialResult>ServiceSpecificCredential>ServiceCredentialSecret"`
		}
		if err := c.call(ctx, "CreateServiceSpecificCredential", url.Values{"UserName": {user}, "ServiceName": {"bedrock.amazonaws.com"}}, &out); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "export AWS_BEARER_TOKEN_BEDROCK=%s\n", quote(out.Token))
		return nil
	}
	var out struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	if err := c.call(ctx, "CreateAccessKey", url.Values{"UserName": {user}}, &out); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n", out.ID, quote(out.Secret))
	return nil
}

// policyVerb explains what the policies of a principal say of an action.
func policyVerb(ctx context.Context, e *env, args []string) error {
	const how = "usage: outcrop policy explain --principal ARN --action bedrock:InvokeModel [--resource ARN]"
	if len(args) == 0 || args[0] != "explain" {
		return usage(how)
	}
	fs := e.flags("policy explain")
	data := fs.String("data", e.getenv("OUTCROP_DATA"), "data folder of the server")
	principal := fs.String("principal", "", "ARN of a user, group or role")
	action := fs.String("action", "", "such as bedrock:InvokeModel")
	resource := fs.String("resource", "*", "ARN")
	if err := fs.Parse(args[1:]); err != nil {
		return usageError{err}
	}
	if *principal == "" || *action == "" {
		return usage(how)
	}
	c, err := account(ctx, *data)
	if err != nil {
		return err
	}
	var out struct {
		Results []struct {
			Decision string `xml:"EvalDecision"`
			Matched  []struct {
				Policy string                     `xml:"SourcePolicyId"`
				Type   string                     `xml:"SourcePolicyType"`
				Start  struct{ Line, Column int } `xml:"StartPosition"`
			} `xml:"MatchedStatements>member"`
			Missing []string `xml:"MissingContextValues>member"`
		} `xml:"SimulatePrincipalPolicyResult>EvaluationResults>member"`
	}
	err = c.call(ctx, "SimulatePrincipalPolicy", url.Values{
		"PolicySourceArn": {*principal}, "ActionNames.member.1": {*action}, "ResourceArns.member.1": {*resource},
	}, &out)
	if err != nil {
		return err
	}
	for _, r := range out.Results {
		fmt.Fprintf(e.stdout, "%s: %s on %s by %s\n", r.Decision, *action, *resource, *principal)
		for _, m := range r.Matched {
			fmt.Fprintf(e.stdout, "  decided by a statement of %s (%s)", m.Policy, m.Type)
			if m.Start.Line > 0 {
				fmt.Fprintf(e.stdout, ", line %d, column %d", m.Start.Line, m.Start.Column)
			}
			fmt.Fprintln(e.stdout)
		}
		if len(r.Matched) == 0 {
			fmt.Fprintln(e.stdout, "  no statement matches: what no policy allows is denied")
		}
		if len(r.Missing) > 0 {
			fmt.Fprintf(e.stdout, "  conditions ask for %s, which a request must bring\n", strings.Join(r.Missing, ", "))
		}
	}
	return nil
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// services are those whose actions our documents hold; of all others the linter
// says nothing.
var services = []string{
	"aoss", "aws-marketplace", "bedrock", "cloudtrail", "cloudwatch", "events", "iam", "kms", "lambda", "logs", "rds-data", "s3", "s3vectors",
	"secretsmanager", "sns", "sqs", "sts",
}

type service struct {
	Privileges map[string]struct {
		Types map[string]struct{} `json:"resource_types"`
	} `json:"privileges"`
	Resources map[string]struct {
		ARN string `json:"arn"`
	} `json:"resources"`
}

func run(path string) error {
	b, err := os.ReadFile(path) //nolint:gosec // the file that the developer names
	if err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	w := bufio.NewWriter(os.Stdout)
	for _, name := range services {
		var s service
		if err := json.Unmarshal(all[name], &s); err != nil {
			return fmt.Errorf("read service %s: %w", name, err)
		}
		fmt.Fprintf(w, "service %s\n", name)
		for _, t := range slices.Sorted(maps.Keys(s.Resources)) {
			fmt.Fprintf(w, "type %s %s\n", t, s.Resources[t].ARN)
		}
		for _, a := range slices.Sorted(maps.Keys(s.Privileges)) {
			types := slices.DeleteFunc(slices.Sorted(maps.Keys(s.Privileges[a].Types)), func(t string) bool { return t == "" })
			fmt.Fprintln(w, strings.TrimSpace("action "+a+" "+strings.Join(types, " ")))
		}
	}
	return w.Flush()
}

func main() {
	if len(os.Args) != 2 {
		panic("usage: actiongen iam-definition.json")
	}
	if err := run(os.Args[1]); err != nil {
		panic(err)
	}
}

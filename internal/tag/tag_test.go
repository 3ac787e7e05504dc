package tag

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

const profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl"

func open(t *testing.T) (context.Context, *ModelTags) {
	t.Helper()
	tags := New(Config{Store: storetest.New(t), Owners: []Owner{{
		Type: "application-inference-profile", Exists: func(_ context.Context, arn string) (bool, error) { return arn == profile, nil },
	}}})
	return call.With(t.Context(), &call.Call{Account: "123456789012", Region: "us-east-1"}), tags
}

func set(t *testing.T, ctx context.Context, m *ModelTags, tags ...bedrock.Tag) error {
	t.Helper()
	_, err := m.TagResource(ctx, &bedrock.TagResourceInput{ResourceARN: profile, Tags: tags})
	return err
}

func list(t *testing.T, ctx context.Context, m *ModelTags) []bedrock.Tag {
	t.Helper()
	out, err := m.ListTagsForResource(ctx, &bedrock.ListTagsForResourceInput{ResourceARN: profile})
	if err != nil {
		t.Fatal(err)
	}
	return out.Tags
}

func TestTagsAreSetOverwrittenAndRemoved(t *testing.T) {
	ctx, m := open(t)
	if got := list(t, ctx, m); got == nil || len(got) != 0 {
		t.Errorf("an untagged resource lists %v, want an empty list", got)
	}
	if err := set(t, ctx, m, bedrock.Tag{Key: "b", Value: "1"}, bedrock.Tag{Key: "a", Value: ""}); err != nil {
		t.Fatal(err)
	}
	if err := set(t, ctx, m, bedrock.Tag{Key: "b", Value: "2"}); err != nil {
		t.Fatal(err)
	}
	want := []bedrock.Tag{{Key: "a", Value: ""}, {Key: "b", Value: "2"}}
	if d := cmp.Diff(want, list(t, ctx, m)); d != "" {
		t.Error(d)
	}
	if _, err := m.UntagResource(ctx, &bedrock.UntagResourceInput{ResourceARN: profile, TagKeys: []string{"a", "never there"}}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want[1:], list(t, ctx, m)); d != "" {
		t.Error(d)
	}
}

func TestWhatIsRefused(t *testing.T) {
	ctx, m := open(t)
	var many []bedrock.Tag
	for i := range Most {
		many = append(many, bedrock.Tag{Key: fmt.Sprint("k", i)})
	}
	if err := set(t, ctx, m, many...); err != nil {
		t.Fatal(err)
	}
	if err := set(t, ctx, m, bedrock.Tag{Key: "k1", Value: "a key that is there takes no room"}); err != nil {
		t.Error(err)
	}
	for name, tc := range map[string]struct {
		arn  string
		tags []bedrock.Tag
		want apierr.Kind
	}{
		"one too many":            {profile, []bedrock.Tag{{Key: "new"}}, apierr.TooManyTags},
		"the same key twice":      {profile, []bedrock.Tag{{Key: "k1"}, {Key: "k1"}}, apierr.Validation},
		"a reserved key":          {profile, []bedrock.Tag{{Key: "AWS:x"}}, apierr.Validation},
		"a resource that is gone": {profile[:len(profile)-1], []bedrock.Tag{{Key: "k1"}}, apierr.ResourceNotFound},
		"another Region":          {"arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abcdefghijkl", nil, apierr.ResourceNotFound},
		"another account":         {"arn:aws:bedrock:us-east-1:210987654321:application-inference-profile/abcdefghijkl", nil, apierr.ResourceNotFound},
		"a type nobody owns":      {"arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl", nil, apierr.ResourceNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := m.TagResource(ctx, &bedrock.TagResourceInput{ResourceARN: tc.arn, Tags: tc.tags})
			if got := apierr.KindOf(err); got != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
	if got := list(t, ctx, m); len(got) != Most {
		t.Errorf("refused calls left %d tags, want %d", len(got), Most)
	}
}

package catalog_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

func from(arn string) *bedrock.InferenceProfileModelSource {
	return &bedrock.InferenceProfileModelSource{CopyFrom: new(arn)}
}

// profiles walks all pages of a list.
func pages(t *testing.T, r room, ctx context.Context, kind bedrock.InferenceProfileType, size int) []bedrock.InferenceProfileSummary {
	t.Helper()
	var all []bedrock.InferenceProfileSummary
	in := &bedrock.ListInferenceProfilesInput{TypeEquals: kind, MaxResults: &size}
	for range 500 {
		out, err := r.ListInferenceProfiles(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.InferenceProfileSummaries) > size {
			t.Fatalf("a page of %d", len(out.InferenceProfileSummaries))
		}
		all = append(all, out.InferenceProfileSummaries...)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return all
		}
	}
	t.Fatal("the list does not end")
	return nil
}

func TestSystemProfilesAreThoseOfTheCallersGeography(t *testing.T) {
	r := open(t, nil)
	for region, want := range map[string]string{"us-east-1": "us.", "eu-west-1": "eu.", "ap-northeast-1": "apac.", "us-gov-west-1": "us-gov."} {
		ctx := in(t, "123456789012", region)
		seen := 0
		for _, p := range pages(t, r, ctx, "SYSTEM_DEFINED", 7) {
			geo, _, _ := strings.Cut(p.InferenceProfileId, ".")
			switch {
			case geo+"." == want:
				seen++
			case geo == "global" && region != "us-gov-west-1", geo == "jp" && region == "ap-northeast-1":
			default:
				t.Errorf("%s lists %s", region, p.InferenceProfileId)
			}
			if p.Type != "SYSTEM_DEFINED" || p.Status != "ACTIVE" || len(p.Models) == 0 || p.InferenceProfileName == "" {
				t.Errorf("%+v", p)
			}
			if geo != "us-gov" { // its ARNs are of another partition
				if _, err := r.Resolve(ctx, p.InferenceProfileArn); err != nil && apierr.KindOf(err) != apierr.ServiceUnavailable {
					t.Errorf("%s: %v", p.InferenceProfileArn, err)
				}
			}
		}
		if seen == 0 {
			t.Errorf("%s lists no profile of %s", region, want)
		}
	}
}

func TestASystemProfileReadsLikeAWSs(t *testing.T) {
	r := open(t, nil)
	const id = "us.anthropic.claude-opus-5"
	for _, name := range []string{id, "arn:aws:bedrock:us-east-1:123456789012:inference-profile/" + id} {
		got, err := r.GetInferenceProfile(home(t), &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: name})
		if err != nil {
			t.Fatal(err)
		}
		m := func(region string) bedrock.InferenceProfileModel {
			return bedrock.InferenceProfileModel{ModelArn: new("arn:aws:bedrock:" + region + "::foundation-model/anthropic.claude-opus-5")}
		}
		day := time.Date(2026, 7, 24, 0, 0, 0, 0, time.UTC)
		want := &bedrock.GetInferenceProfileOutput{
			InferenceProfileArn: "arn:aws:bedrock:us-east-1:123456789012:inference-profile/" + id, InferenceProfileId: id, InferenceProfileName: "US Anthropic Claude Opus 5",
			Description: new("Routes requests to Anthropic Claude Opus 5 in us-east-1, us-east-2 and us-west-2."), Models: []bedrock.InferenceProfileModel{m("us-east-1"), m("us-east-2"), m("us-west-2")},
			Status: "ACTIVE", Type: "SYSTEM_DEFINED", CreatedAt: &day, UpdatedAt: &day,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, id := range []string{"eu.anthropic.claude-opus-5", "us.anthropic.nope", "abcdefghijkl", "arn:aws:bedrock:us-west-2:123456789012:inference-profile/" + id} {
		_, err := r.GetInferenceProfile(home(t), &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: id})
		wantError(t, err, apierr.ResourceNotFound, "")
	}
	_, err := r.DeleteInferenceProfile(home(t), &bedrock.DeleteInferenceProfileInput{InferenceProfileIdentifier: id})
	wantError(t, err, apierr.Validation, "")
}

func TestAnApplicationProfileLivesFromCreateToDelete(t *testing.T) {
	var st *store.Store
	r := open(t, func(c *catalog.Config) { st = c.Store })
	ctx := home(t)
	req := &bedrock.CreateInferenceProfileInput{
		InferenceProfileName: "team blue", Description: new("costs"), ClientRequestToken: new("once"),
		ModelSource: from("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6"),
		Tags:        []bedrock.Tag{{Key: "team", Value: "blue"}},
	}
	made, err := r.CreateInferenceProfile(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.CreateInferenceProfile(ctx, req)
	if err != nil || again.InferenceProfileArn != made.InferenceProfileArn {
		t.Fatalf("the token made %v, %v", again, err)
	}
	other := *req
	other.InferenceProfileName = "team red"
	_, err = r.CreateInferenceProfile(ctx, &other)
	wantError(t, err, apierr.Conflict, "")

	id := made.InferenceProfileArn[strings.LastIndexByte(made.InferenceProfileArn, '/')+1:]
	if !strings.HasPrefix(made.InferenceProfileArn, "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/") || len(id) != 12 {
		t.Fatalf("ARN is %s", made.InferenceProfileArn)
	}
	for _, name := range []string{id, made.InferenceProfileArn} {
		got, err := r.GetInferenceProfile(ctx, &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: name})
		if err != nil {
			t.Fatal(err)
		}
		if got.InferenceProfileName != "team blue" || *got.Description != "costs" || got.Type != "APPLICATION" || len(got.Models) != 3 || !got.CreatedAt.Equal(r.clock.Now()) {
			t.Errorf("%+v", got)
		}
		target, err := r.Resolve(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if target.BaseID != "anthropic.claude-sonnet-4-6" || target.ProfileARN != made.InferenceProfileArn || target.ModelID != name || len(target.Resources) != 4 {
			t.Errorf("%+v", target)
		}
	}
	err = st.View(ctx, func(tx *store.Tx) error {
		tags, err := tx.Tags(made.InferenceProfileArn)
		if diff := cmp.Diff([]store.Tag{{Key: "team", Value: "blue"}}, tags); diff != "" {
			t.Error(diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []context.Context{in(t, "123456789012", "us-west-2"), in(t, "210987654321", "us-east-1")} {
		_, err := r.Resolve(other, id)
		wantError(t, err, apierr.Validation, "The provided model identifier is invalid.")
		if n := len(pages(t, r, other, "APPLICATION", 10)); n != 0 {
			t.Errorf("another account or Region sees %d profiles", n)
		}
	}
	if _, err := r.DeleteInferenceProfile(ctx, &bedrock.DeleteInferenceProfileInput{InferenceProfileIdentifier: id}); err != nil {
		t.Fatal(err)
	}
	_, err = r.Resolve(ctx, id)
	wantError(t, err, apierr.Validation, "")
	_, err = r.DeleteInferenceProfile(ctx, &bedrock.DeleteInferenceProfileInput{InferenceProfileIdentifier: id})
	wantError(t, err, apierr.ResourceNotFound, "")
}

func TestAProfileIsMadeOnlyFromWhatCanBeInvoked(t *testing.T) {
	r := open(t, nil)
	for _, source := range []string{
		"arn:aws:bedrock:us-east-1::foundation-model/anthropic.nope", "arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-v2",
		"arn:aws:bedrock:us-east-1:999999999999:inference-profile/us.amazon.nova-pro-v1:0", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0",
		"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-6", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl", "x",
	} {
		_, err := r.CreateInferenceProfile(home(t), &bedrock.CreateInferenceProfileInput{InferenceProfileName: "n", ModelSource: from(source)})
		wantError(t, err, apierr.Validation, "")
	}
	_, err := r.CreateInferenceProfile(home(t), &bedrock.CreateInferenceProfileInput{InferenceProfileName: "n", ModelSource: &bedrock.InferenceProfileModelSource{}})
	wantError(t, err, apierr.Validation, "")
}

func TestPagesHoldEveryProfileOnce(t *testing.T) {
	r := open(t, nil)
	ctx := home(t)
	for i := range 5 {
		_, err := r.CreateInferenceProfile(ctx, &bedrock.CreateInferenceProfileInput{
			InferenceProfileName: fmt.Sprintf("p%d", i), ModelSource: from("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2"),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	system := len(pages(t, r, ctx, "SYSTEM_DEFINED", 1000))
	// Sizes that end a page before, on and after the border of the two lists.
	for _, size := range []int{1, 2, 7, system - 1, system, system + 1, system + 5, 1000} {
		seen := map[string]bool{}
		for _, p := range pages(t, r, ctx, "", size) {
			if seen[p.InferenceProfileId] {
				t.Errorf("with pages of %d, %s comes twice", size, p.InferenceProfileId)
			}
			seen[p.InferenceProfileId] = true
		}
		if len(seen) != system+5 {
			t.Errorf("with pages of %d there are %d profiles, want %d", size, len(seen), system+5)
		}
	}
	if n := len(pages(t, r, ctx, "APPLICATION", 2)); n != 5 {
		t.Errorf("%d application profiles", n)
	}

	one := 1
	first, err := r.ListInferenceProfiles(ctx, &bedrock.ListInferenceProfilesInput{MaxResults: &one})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		ctx   context.Context
		kind  bedrock.InferenceProfileType
		token string
	}{
		{ctx, "", "forged"}, {ctx, "SYSTEM_DEFINED", *first.NextToken}, {in(t, "210987654321", "us-east-1"), "", *first.NextToken}, {ctx, "", *first.NextToken + "A"},
	} {
		_, err := r.ListInferenceProfiles(tt.ctx, &bedrock.ListInferenceProfilesInput{TypeEquals: tt.kind, NextToken: &tt.token})
		wantError(t, err, apierr.Validation, "")
	}
}

func TestStateOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	ctx := home(t)
	start := func() (room, *store.Store) {
		st := storetest.OpenDir(t, dir, nil)
		c, err := catalog.New(catalog.Config{Engine: everyKind(), Store: st, Locked: true, Transition: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		return room{c, &catalog.FoundationModels{Catalog: c}, &catalog.ModelAccess{Catalog: c}, &catalog.InferenceProfiles{Catalog: c}, nil}, st
	}
	r, st := start()
	offers, _ := r.ListFoundationModelAgreementOffers(ctx, &bedrock.ListFoundationModelAgreementOffersInput{ModelId: "amazon.titan-text-lite-v1"})
	if _, err := r.CreateFoundationModelAgreement(ctx, &bedrock.CreateFoundationModelAgreementInput{ModelId: "amazon.titan-text-lite-v1", OfferToken: offers.Offers[0].OfferToken}); err != nil {
		t.Fatal(err)
	}
	made, err := r.CreateInferenceProfile(ctx, &bedrock.CreateInferenceProfileInput{InferenceProfileName: "n", ModelSource: from("arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1")})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	r, _ = start()
	time.Sleep(time.Millisecond) // the transition
	if _, err := r.Resolve(ctx, made.InferenceProfileArn); err != nil {
		t.Error(err)
	}
	_, err = r.Resolve(ctx, "amazon.titan-text-express-v1")
	wantError(t, err, apierr.AccessDenied, "")
}

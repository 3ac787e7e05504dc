package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// ModelAccess holds the operations on access to models: agreements, offers and
// the use-case form.
type ModelAccess struct{ *Catalog }

// model finds the base model that an access operation names.
func (c *Catalog) model(at *call.Call, id string) (*entry, error) {
	e := c.lookup(id)
	if e == nil || !c.inRegion(e, at.Region) {
		return nil, errInvalid()
	}
	if c.state(e) == EndOfLife {
		return nil, apierr.New(apierr.ResourceNotFound, textEnded)
	}
	return baseOf(e), nil
}

// offerToken names the one offer of a model. It is the same on every replica and
// says nothing.
func offerToken(model string) string {
	sum := sha256.Sum256([]byte("outcrop model offer\x00" + model))
	return hex.EncodeToString(sum[:])
}

// GetFoundationModelAvailability says whether a model may be called, and why not.
func (m *ModelAccess) GetFoundationModelAvailability(ctx context.Context, in *bedrock.GetFoundationModelAvailabilityInput) (*bedrock.GetFoundationModelAvailabilityOutput, error) {
	at := call.From(ctx)
	e := m.lookup(in.ModelId)
	if e == nil {
		return nil, errInvalid()
	}
	base := baseOf(e)
	a, err := m.accessNow(ctx, at.Account, at.Region, base)
	if err != nil {
		return nil, failure(err)
	}
	out := &bedrock.GetFoundationModelAvailabilityOutput{
		ModelId:                 in.ModelId,
		AgreementAvailability:   &bedrock.AgreementAvailability{Status: bedrock.AgreementStatusNotAvailable},
		AuthorizationStatus:     bedrock.AuthorizationStatusAuthorized, // the caller got this far
		EntitlementAvailability: bedrock.EntitlementAvailabilityNotAvailable,
		RegionAvailability:      bedrock.RegionAvailabilityAvailable,
	}
	switch {
	case a.pending:
		out.AgreementAvailability.Status = bedrock.AgreementStatusPending
	case a.agreed:
		out.AgreementAvailability.Status = bedrock.AgreementStatusAvailable
	}
	if a.entitled {
		out.EntitlementAvailability = bedrock.EntitlementAvailabilityAvailable
	}
	if !m.inRegion(e, at.Region) || m.state(e) == EndOfLife {
		out.RegionAvailability = bedrock.RegionAvailabilityNotAvailable
		return out, nil
	}
	// A model that nothing here can serve is not offered by this server, which
	// is the Region; the message says what to do about it.
	if _, _, err := m.target(ctx, at, in.ModelId, e); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		out.RegionAvailability = bedrock.RegionAvailabilityNotAvailable
		if ae, ok := errors.AsType[*apierr.Error](err); ok {
			out.AgreementAvailability.ErrorMessage = new(ae.Message)
		}
	}
	return out, nil
}

// ListFoundationModelAgreementOffers answers the one offer of a model: it costs
// nothing, because it is served here, and the terms are those of the model.
func (m *ModelAccess) ListFoundationModelAgreementOffers(ctx context.Context, in *bedrock.ListFoundationModelAgreementOffersInput) (*bedrock.ListFoundationModelAgreementOffersOutput, error) {
	e, err := m.model(call.From(ctx), in.ModelId)
	if err != nil {
		return nil, err
	}
	token := offerToken(e.ID)
	price := func(dimension, unit string) bedrock.DimensionalPriceRate {
		return bedrock.DimensionalPriceRate{
			Dimension: new(dimension), Unit: new(unit), Price: new("0.00"),
			Description: new("Local inference is not charged."),
		}
	}
	rates := []bedrock.DimensionalPriceRate{price("InputTokenCount", "1K tokens"), price("OutputTokenCount", "1K tokens")}
	if strings.Contains(e.Out, "IMAGE") {
		rates = []bedrock.DimensionalPriceRate{price("CreatedImageCount", "image")}
	}
	return &bedrock.ListFoundationModelAgreementOffersOutput{
		ModelId: in.ModelId,
		Offers: []bedrock.Offer{{
			OfferId: new("offer-" + token[:13]), OfferToken: token,
			TermDetails: &bedrock.TermDetails{
				UsageBasedPricingTerm: &bedrock.PricingTerm{RateCard: rates},
				LegalTerm:             &bedrock.LegalTerm{Url: new(e.EULA)},
				SupportTerm:           &bedrock.SupportTerm{RefundPolicyDescription: new("Nothing is charged, so nothing is refunded.")},
			},
		}},
	}, nil
}

// CreateFoundationModelAgreement asks for access to a model; it is granted after
// the transition. Anthropic models need the use-case form first.
func (m *ModelAccess) CreateFoundationModelAgreement(ctx context.Context, in *bedrock.CreateFoundationModelAgreementInput) (*bedrock.CreateFoundationModelAgreementOutput, error) {
	if err := m.keeps(); err != nil {
		return nil, err
	}
	at := call.From(ctx)
	e, err := m.model(at, in.ModelId)
	if err != nil {
		return nil, err
	}
	if in.OfferToken != offerToken(e.ID) {
		return nil, apierr.New(apierr.Validation, "The offer token is not one of model %s. Get it from ListFoundationModelAgreementOffers.", e.ID)
	}
	if err := m.marketplace(ctx, "aws-marketplace:Subscribe", e); err != nil {
		return nil, err
	}
	k := accessKey{at.Account, at.Region, e.ID}
	err = m.store.Update(ctx, func(tx *store.Tx) error {
		if e.Provider == "Anthropic" {
			_, err := useCases.Head(tx, store.Key{Account: at.Account, Region: at.Region, ID: theUseCase})
			if errors.Is(err, store.ErrNotFound) {
				return apierr.New(apierr.Validation, "Use case details have not been submitted for this account. Submit them with PutUseCaseForModelAccess before asking for access to Anthropic models.")
			}
			if err != nil {
				return err
			}
		}
		row, err := readAccess(tx, k)
		if err != nil {
			return err
		}
		before := m.accessOf(row, tx.Now)
		if before.explicit && before.agreed {
			return apierr.New(apierr.Conflict, "An agreement for model %s already exists.", e.ID)
		}
		return m.change(tx, k, agreed, before, agreement{OfferToken: in.OfferToken, At: tx.Now})
	})
	if err != nil {
		return nil, failure(err)
	}
	return &bedrock.CreateFoundationModelAgreementOutput{ModelId: in.ModelId}, nil
}

// DeleteFoundationModelAgreement gives access up; calls are still answered for
// the length of a transition. Access to Amazon's models cannot be given up.
func (m *ModelAccess) DeleteFoundationModelAgreement(ctx context.Context, in *bedrock.DeleteFoundationModelAgreementInput) (*bedrock.DeleteFoundationModelAgreementOutput, error) {
	if err := m.keeps(); err != nil {
		return nil, err
	}
	at := call.From(ctx)
	e, err := m.model(at, in.ModelId)
	if err != nil {
		return nil, err
	}
	if e.Provider == "Amazon" {
		return nil, apierr.New(apierr.Validation, "Access to model %s cannot be removed: Amazon models keep access once it was requested.", e.ID)
	}
	if err := m.marketplace(ctx, "aws-marketplace:Unsubscribe", e); err != nil {
		return nil, err
	}
	k := accessKey{at.Account, at.Region, e.ID}
	err = m.store.Update(ctx, func(tx *store.Tx) error {
		row, err := readAccess(tx, k)
		if err != nil {
			return err
		}
		before := m.accessOf(row, tx.Now)
		if !before.agreed {
			return apierr.New(apierr.ResourceNotFound, "There is no agreement for model %s.", e.ID)
		}
		return m.change(tx, k, ended, before, agreement{At: tx.Now})
	})
	if err != nil {
		return nil, failure(err)
	}
	return &bedrock.DeleteFoundationModelAgreementOutput{}, nil
}

// marketplace asks for the permission that the marketplace wants for a model with
// a product id. Only Subscribe can be narrowed to products.
func (m *ModelAccess) marketplace(ctx context.Context, action string, e *entry) error {
	if m.authorize == nil || e.ProductID == "" {
		return nil
	}
	var conditions map[string][]string
	if action == "aws-marketplace:Subscribe" {
		conditions = map[string][]string{"aws-marketplace:ProductId": {e.ProductID}}
	}
	return m.authorize(ctx, action, "*", conditions)
}

// PutUseCaseForModelAccess stores the account's use-case form, a second time over
// the first.
func (m *ModelAccess) PutUseCaseForModelAccess(ctx context.Context, in *bedrock.PutUseCaseForModelAccessInput) (*bedrock.PutUseCaseForModelAccessOutput, error) {
	if err := m.keeps(); err != nil {
		return nil, err
	}
	at := call.From(ctx)
	key := store.Key{Account: at.Account, Region: at.Region, ID: theUseCase}
	err := m.store.Update(ctx, func(tx *store.Tx) error {
		rec, err := useCases.Get(tx, key)
		if errors.Is(err, store.ErrNotFound) {
			_, err = useCases.Create(tx, key, useCase{FormData: in.FormData}, store.Columns{Name: theUseCase})
			return err
		}
		if err != nil {
			return err
		}
		rec.Body.FormData = in.FormData
		_, err = useCases.Put(tx, rec)
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return &bedrock.PutUseCaseForModelAccessOutput{}, nil
}

// GetUseCaseForModelAccess reads the form back.
func (m *ModelAccess) GetUseCaseForModelAccess(ctx context.Context, _ *bedrock.GetUseCaseForModelAccessInput) (*bedrock.GetUseCaseForModelAccessOutput, error) {
	if err := m.keeps(); err != nil {
		return nil, err
	}
	at := call.From(ctx)
	out := &bedrock.GetUseCaseForModelAccessOutput{}
	err := m.store.View(ctx, func(tx *store.Tx) error {
		rec, err := useCases.Get(tx, store.Key{Account: at.Account, Region: at.Region, ID: theUseCase})
		if errors.Is(err, store.ErrNotFound) {
			return apierr.New(apierr.ResourceNotFound, "No use case was submitted for this account.")
		}
		out.FormData = rec.Body.FormData
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

package build

import (
	"context"
	"errors"

	"github.com/outcrop-dev/outcrop/internal/agent"
	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/store"
)

var (
	_ agent.Aliases = (*Room)(nil)
	_ turn.Plans    = (*Room)(nil)
)

// Invocable finds what an alias serves now.
func (r *Room) Invocable(ctx context.Context, agentID, aliasID string) (*turn.Alias, error) {
	c, key := at(ctx, agentID)
	var a store.Record[aliasRow]
	var address string
	var row *packageRow
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		if a, err = aliases.Get(tx, inside(key, aliasID)); err != nil {
			return err
		}
		of := key
		if aliasID != testAlias {
			if of.Version = a.Body.Version; of.Version == "" {
				return nil
			}
		}
		v, err := agents.Get(tx, of)
		if err != nil {
			return err
		}
		address = v.Body.Package
		if address == "" {
			return nil
		}
		if _, ok := r.plans.Get(address); ok {
			return nil
		}
		p, err := packages.Get(tx, inside(key, address))
		row = &p.Body
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	switch s := r.aliasStatus(&a.Body); {
	case address == "" && aliasID == testAlias:
		return nil, invalid("Agent %s is not prepared. Prepare the agent and retry the request.", agentID)
	case address == "":
		return nil, invalid("Alias %s of agent %s points at no version. Point it at one and retry the request.", aliasID, agentID)
	case s == api.AgentAliasStatusFailed:
		return nil, invalid("Alias %s of agent %s is in FAILED state.", aliasID, agentID)
	}
	p, ok := r.plans.Get(address)
	if !ok {
		if row == nil || row.Plan == nil {
			return nil, errors.New("the package of an agent is empty")
		}
		p = row.Plan
		r.plans.Put(address, p)
	}
	out := &turn.Alias{ID: aliasID, ARN: aliasARN(c, agentID, aliasID), Version: a.Body.Version, Plan: p, Paused: a.Body.Paused}
	if a.Body.Throughput != "" { // calls through this alias use what was bought
		own := *p
		own.Model = a.Body.Throughput
		out.Plan = &own
	}
	return out, nil
}

// Alias finds what the alias of an ARN serves now.
func (r *Room) Alias(ctx context.Context, arn string) (*turn.Alias, error) {
	agentID, aliasID, ok := splitAlias(call.From(ctx), arn)
	if !ok {
		return nil, missing()
	}
	return r.Invocable(ctx, agentID, aliasID)
}

// Exists reports whether the agent or alias of an ARN is there for the caller: what
// tags ask.
func (r *Room) Exists(ctx context.Context, arn string) (bool, error) {
	c := call.From(ctx)
	var err error
	if agentID, aliasID, ok := splitAlias(c, arn); ok {
		_, key := at(ctx, agentID)
		err = r.cfg.Store.View(ctx, func(tx *store.Tx) error {
			_, err := aliases.Head(tx, inside(key, aliasID))
			return err
		})
	} else {
		id := arn[lastSlash(arn)+1:]
		_, key := at(ctx, id)
		if agentARN(c, id) != arn {
			return false, nil
		}
		err = r.cfg.Store.View(ctx, func(tx *store.Tx) error {
			_, err := agents.Head(tx, key)
			return err
		})
	}
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func lastSlash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return i
		}
	}
	return -1
}

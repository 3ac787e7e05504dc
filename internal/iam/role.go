package iam

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

// Bounds of Role.MaxSession.
const (
	DefaultRoleSession = time.Hour
	MaxRoleSession     = 12 * time.Hour
)

var groupNamePattern = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)

// RoleInput is what a new role is made of. Account, Name and Trust are required.
type RoleInput struct {
	Account     string
	Name        string
	Path        string // "/" when empty
	Description string
	Trust       string
	MaxSession  time.Duration // DefaultRoleSession when zero
	Boundary    string
	Tags        map[string]string
}

func checkMaxSession(d time.Duration) error {
	if d < DefaultRoleSession || d > MaxRoleSession {
		return fmt.Errorf("%w: maximum session duration of %v, want %v to %v", ErrInvalid, d, DefaultRoleSession, MaxRoleSession)
	}
	return nil
}

// CreateRole makes a role. A malformed trust policy is a *policy.SyntaxError.
func (i *Identity) CreateRole(ctx context.Context, in RoleInput) (Role, error) {
	r := Role{
		Account: in.Account, Name: in.Name, Path: cmp.Or(in.Path, "/"), Description: in.Description, Created: i.time(),
		MaxSession: cmp.Or(in.MaxSession, DefaultRoleSession), Trust: in.Trust, Boundary: in.Boundary, Tags: maps.Clone(in.Tags),
	}
	if !namePattern.MatchString(r.Name) {
		return Role{}, fmt.Errorf("%w: role name %q", ErrInvalid, r.Name)
	}
	if !isPath(r.Path) {
		return Role{}, fmt.Errorf("%w: path %q", ErrInvalid, r.Path)
	}
	if err := cmp.Or(checkMaxSession(r.MaxSession), checkTags(r.Tags)); err != nil {
		return Role{}, err
	}
	trust, err := policy.Parse(r.Trust, policy.Trust)
	if err != nil {
		return Role{}, fmt.Errorf("trust policy of %s: %w", r.Name, err)
	}
	if r.RoleID, err = newUniqueID(i.random, prefixRole); err != nil {
		return Role{}, err
	}
	err = i.update(ctx, func(s *Snapshot) ([]Record, error) {
		if _, ok := s.Account(r.Account); !ok {
			return nil, fmt.Errorf("%w: account %s", ErrNotFound, r.Account)
		}
		if _, ok := s.Role(r.Account, r.Name); ok {
			return nil, fmt.Errorf("%w: Role with name %s already exists.", ErrExists, r.Name) //nolint:revive,staticcheck // AWS's sentence
		}
		if r.Boundary != "" {
			if err := s.attachable(r.Account, r.Boundary); err != nil {
				return nil, err
			}
		}
		var err error
		if r.Trusted, err = s.trusted(trust); err != nil {
			return nil, err
		}
		return []Record{r.record()}, nil
	})
	if err != nil {
		return Role{}, err
	}
	return r, nil
}

// trusted resolves the users and roles that a trust policy names and refuses
// those that do not exist, as IAM does. Accounts that do not live here are
// believed.
func (s *Snapshot) trusted(p *policy.Policy) (map[string]string, error) {
	out := map[string]string{}
	for _, st := range p.Statements {
		for _, who := range []*policy.Principals{st.Principal, st.NotPrincipal} {
			if who == nil {
				continue
			}
			for _, name := range who.AWS {
				id, known := s.uniqueID(name)
				if known && id == "" {
					return nil, fmt.Errorf("trust policy: %w", &policy.SyntaxError{Message: fmt.Sprintf("Invalid principal in policy: \"AWS\":%q", name), Path: "Statement"})
				}
				if id != "" {
					out[name] = id
				}
			}
		}
	}
	return out, nil
}

// uniqueID returns the ID of the user or role with the ARN; "" when there is
// none. known is false for what is neither, or lives elsewhere.
func (s *Snapshot) uniqueID(name string) (id string, known bool) {
	parts := strings.SplitN(name, ":", 6)
	if len(parts) != 6 || parts[2] != "iam" {
		return "", false
	}
	account := parts[4]
	if _, ours := s.accounts[account]; !ours {
		return "", false
	}
	switch kind, rest, _ := strings.Cut(parts[5], "/"); kind {
	case "user":
		if u, ok := s.User(account, rest[strings.LastIndexByte(rest, '/')+1:]); ok && s.UserARN(u) == name {
			return u.UserID, true
		}
		return "", true
	case "role":
		r, _ := s.RoleByARN(name)
		return r.RoleID, true
	}
	return "", false
}

// TrustInForce is the trust policy as it stands: who was named in it and is gone
// stands there by unique ID, so that another of the same name is not trusted.
func (s *Snapshot) TrustInForce(r Role) string {
	doc := r.Trust
	for name, id := range r.Trusted {
		if now, _ := s.uniqueID(name); now != id {
			doc = strings.ReplaceAll(doc, `"`+name+`"`, `"`+id+`"`)
		}
	}
	return doc
}

// changeRole lets change work on a copy.
func (i *Identity) changeRole(ctx context.Context, account, name string, change func(*Snapshot, *Role) error) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		r, ok := s.Role(account, name)
		if !ok {
			return nil, fmt.Errorf("%w: The role with name %s cannot be found.", ErrNotFound, name) //nolint:revive,staticcheck // AWS's sentence
		}
		if err := change(s, &r); err != nil {
			return nil, err
		}
		return []Record{r.record()}, nil
	})
}

// UpdateRole changes description and maximum session duration; nil leaves one as
// it is.
func (i *Identity) UpdateRole(ctx context.Context, account, name string, description *string, maxSession *time.Duration) error {
	return i.changeRole(ctx, account, name, func(_ *Snapshot, r *Role) error {
		if description != nil {
			r.Description = *description
		}
		if maxSession != nil {
			r.MaxSession = *maxSession
			return checkMaxSession(r.MaxSession)
		}
		return nil
	})
}

// SetTrust replaces the trust policy.
func (i *Identity) SetTrust(ctx context.Context, account, name, document string) error {
	p, err := policy.Parse(document, policy.Trust)
	if err != nil {
		return fmt.Errorf("trust policy of %s: %w", name, err)
	}
	return i.changeRole(ctx, account, name, func(s *Snapshot, r *Role) error {
		r.Trust = document
		var err error
		r.Trusted, err = s.trusted(p)
		return err
	})
}

// DeleteRole removes a role; ErrInUse while it has policies.
func (i *Identity) DeleteRole(ctx context.Context, account, name string) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		r, ok := s.Role(account, name)
		if !ok {
			return nil, fmt.Errorf("%w: The role with name %s cannot be found.", ErrNotFound, name) //nolint:revive,staticcheck // AWS's sentence
		}
		if err := deletable(r.Policies, r.Inline); err != nil {
			return nil, err
		}
		return []Record{deletion(r.record())}, nil
	})
}

func deletable(attached []string, inline map[string]string) error {
	switch {
	case len(attached) > 0:
		return fmt.Errorf("%w: Cannot delete entity, must detach all policies first.", ErrInUse) //nolint:revive,staticcheck // AWS's sentence
	case len(inline) > 0:
		return fmt.Errorf("%w: Cannot delete entity, must delete policies first.", ErrInUse) //nolint:revive,staticcheck // AWS's sentence
	}
	return nil
}

// CreateGroup makes a group; an empty path is "/".
func (i *Identity) CreateGroup(ctx context.Context, account, name, path string) (Group, error) {
	g := Group{Account: account, Name: name, Path: cmp.Or(path, "/"), Created: i.time()}
	if !groupNamePattern.MatchString(name) {
		return Group{}, fmt.Errorf("%w: group name %q", ErrInvalid, name)
	}
	if !isPath(g.Path) {
		return Group{}, fmt.Errorf("%w: path %q", ErrInvalid, g.Path)
	}
	var err error
	if g.GroupID, err = newUniqueID(i.random, prefixGroup); err != nil {
		return Group{}, err
	}
	err = i.update(ctx, func(s *Snapshot) ([]Record, error) {
		if _, ok := s.Account(account); !ok {
			return nil, fmt.Errorf("%w: account %s", ErrNotFound, account)
		}
		if _, ok := s.Group(account, name); ok {
			return nil, fmt.Errorf("%w: Group with name %s already exists.", ErrExists, name) //nolint:revive,staticcheck // AWS's sentence
		}
		return []Record{g.record()}, nil
	})
	if err != nil {
		return Group{}, err
	}
	return g, nil
}

func noGroup(name string) error {
	return fmt.Errorf("%w: The group with name %s cannot be found.", ErrNotFound, name) //nolint:revive,staticcheck // AWS's sentence
}

// UpdateGroup gives a group another name or path; "" leaves one as it is.
func (i *Identity) UpdateGroup(ctx context.Context, account, name, newName, newPath string) error {
	if newName != "" && !groupNamePattern.MatchString(newName) {
		return fmt.Errorf("%w: group name %q", ErrInvalid, newName)
	}
	if newPath != "" && !isPath(newPath) {
		return fmt.Errorf("%w: path %q", ErrInvalid, newPath)
	}
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		g, ok := s.Group(account, name)
		if !ok {
			return nil, noGroup(name)
		}
		old := g
		g.Name, g.Path = cmp.Or(newName, g.Name), cmp.Or(newPath, g.Path)
		if g.Name == old.Name {
			return []Record{g.record()}, nil
		}
		if _, taken := s.Group(account, g.Name); taken && !strings.EqualFold(g.Name, old.Name) {
			return nil, fmt.Errorf("%w: Group with name %s already exists.", ErrExists, g.Name) //nolint:revive,staticcheck // AWS's sentence
		}
		changes := []Record{deletion(old.record()), g.record()}
		for _, u := range s.Members(account, name) {
			u.Groups = slices.Clone(u.Groups)
			for n := range u.Groups {
				if strings.EqualFold(u.Groups[n], old.Name) {
					u.Groups[n] = g.Name
				}
			}
			changes = append(changes, u.record())
		}
		return changes, nil
	})
}

// DeleteGroup removes a group; ErrInUse while it has members or policies.
func (i *Identity) DeleteGroup(ctx context.Context, account, name string) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		g, ok := s.Group(account, name)
		if !ok {
			return nil, noGroup(name)
		}
		if len(s.Members(account, name)) > 0 {
			return nil, fmt.Errorf("%w: Cannot delete entity, must remove users from group first.", ErrInUse) //nolint:revive,staticcheck // AWS's sentence
		}
		if err := deletable(g.Policies, g.Inline); err != nil {
			return nil, err
		}
		return []Record{deletion(g.record())}, nil
	})
}

// AddToGroup makes a user a member; joining again changes nothing. A user may be
// in ten groups.
func (i *Identity) AddToGroup(ctx context.Context, account, group, user string) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		g, ok := s.Group(account, group)
		if !ok {
			return nil, noGroup(group)
		}
		u, ok := s.User(account, user)
		if !ok {
			return nil, fmt.Errorf("%w: user %s", ErrNotFound, user)
		}
		if containsFold(u.Groups, g.Name) {
			return nil, nil
		}
		if len(u.Groups) >= maxGroups {
			return nil, fmt.Errorf("%w: Cannot exceed quota for GroupsPerUser: %d", ErrLimit, maxGroups)
		}
		u.Groups = append(slices.Clone(u.Groups), g.Name)
		return []Record{u.record()}, nil
	})
}

// RemoveFromGroup ends a membership; ErrNotFound when there is none.
func (i *Identity) RemoveFromGroup(ctx context.Context, account, group, user string) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		if _, ok := s.Group(account, group); !ok {
			return nil, noGroup(group)
		}
		u, ok := s.User(account, user)
		if !ok || !containsFold(u.Groups, group) {
			return nil, fmt.Errorf("%w: user %s is not in group %s", ErrNotFound, user, group)
		}
		u.Groups = slices.DeleteFunc(slices.Clone(u.Groups), func(g string) bool { return strings.EqualFold(g, group) })
		return []Record{u.record()}, nil
	})
}

package catalog

import (
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
)

// Profile is an inference profile, system-defined or of an application.
type Profile struct {
	ID          string // us.anthropic.claude-3-haiku-20240307-v1:0, or twelve letters and digits
	ARN         string
	Name        string
	Description string
	Models      []string // ARNs of the foundation models behind it
	Application bool
	Created     time.Time
	Updated     time.Time
}

// systemProfile makes the system-defined profile of an id as the caller sees it,
// or nil when there is none for the caller's Region.
func (c *Catalog) systemProfile(at *call.Call, id string) (*Profile, *entry) {
	geo, base, ok := cutGeography(id)
	if !ok {
		return nil, nil
	}
	e := c.lookup(base)
	if e == nil || e.variantOf != nil {
		return nil, nil
	}
	if !c.lenient && !geographies[geo].from(at.Region) {
		return nil, nil
	}
	if !e.ruled && !hasProfile(e, geo) && !c.lenient {
		return nil, nil
	}
	return c.makeProfile(at, geo, e), e
}

func hasProfile(e *entry, geo string) bool {
	for _, g := range e.profiles {
		if g == geo {
			return true
		}
	}
	return false
}

// makeProfile builds the record of a system-defined profile.
func (c *Catalog) makeProfile(at *call.Call, geo string, e *entry) *Profile {
	g := geographies[geo]
	p := &Profile{
		ID:      geo + "." + e.ID,
		ARN:     arn.New("bedrock", at.Region, at.Account, "inference-profile/"+geo+"."+e.ID).String(),
		Name:    g.name + " " + e.Provider + " " + e.Name,
		Created: e.start, Updated: e.start,
	}
	where := enumerate(g.regions)
	if len(g.regions) == 0 {
		// A global profile names the caller's Region and one model without any.
		where = "commercial Regions of all geographies"
		p.Models = []string{foundationARN(at.Region, e.ID), "arn:" + arn.Partition(at.Region) + ":bedrock:::foundation-model/" + e.ID}
	}
	for _, r := range g.regions {
		p.Models = append(p.Models, foundationARN(r, e.ID))
	}
	p.Description = "Routes requests to " + e.Provider + " " + e.Name + " in " + where + "."
	return p
}

// enumerate joins words as a sentence does: a, b and c.
func enumerate(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// systemProfiles lists the system-defined profiles of the caller's Region, by id.
func (c *Catalog) systemProfiles(at *call.Call) []*Profile {
	var out []*Profile
	for _, e := range c.listed {
		if c.state(e) == EndOfLife || !c.inRegion(e, at.Region) {
			continue
		}
		for _, geo := range e.profiles {
			if geographies[geo].from(at.Region) {
				out = append(out, c.makeProfile(at, geo, e))
			}
		}
	}
	return out
}

// isProfileID reports whether s has the form of an application profile's id.
func isProfileID(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

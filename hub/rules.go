package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/config"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
)

// previewExamples is how many merges and splits a preview shows.
const previewExamples = 10

// PreviewIdentity implements api.Identities.
func (h *Hub) PreviewIdentity(ctx context.Context, name string, asked api.IdentityRules) (api.IdentityPreview, error) {
	st, err := h.named(name)
	if err != nil {
		return api.IdentityPreview{}, err
	}
	other := *st
	other.cfg.Identity = config.Identity{
		Match: asked.Match, NeverMatch: asked.NeverMatch, Anonymous: asked.Anonymous, Branches: config.Branches(asked.Branches), PhoneRegion: strings.ToUpper(asked.PhoneRegion),
	}
	if asked.Match == nil {
		other.cfg.Identity.Match = []string{identity.EmailKind, identity.PhoneKind}
	}
	if asked.PhoneRegion == "" {
		other.cfg.Identity.PhoneRegion = defaultPhoneRegion
	}
	for _, strong := range asked.Strong {
		if connection, stream, isStream := strings.Cut(strong, "."); isStream {
			other.cfg.Identity.StrongStreams = append(other.cfg.Identity.StrongStreams, config.StreamRef{Connection: connection, Stream: stream})
		} else {
			other.cfg.Identity.StrongKinds = append(other.cfg.Identity.StrongKinds, strong)
		}
	}
	if err := refuseRules(st, other.cfg.Identity); err != nil {
		return api.IdentityPreview{}, err
	}
	globs, problems := identityPatterns(other.cfg)
	if len(problems) > 0 {
		return api.IdentityPreview{}, fmt.Errorf("%w: %s", api.ErrRefused, problems[0].Message)
	}
	other.rules = rulesOf(&other, globs)
	var p settle.RulesPreview
	err = h.store.InView(ctx, func(tx store.Tx) error {
		p, err = h.settler(&other).Preview(ctx, tx, h.store, previewExamples)
		return err
	})
	if err != nil {
		return api.IdentityPreview{}, fmt.Errorf("previewing rules of identity: %w", err)
	}
	return api.IdentityPreview{
		Before: p.Before, After: p.After, Merges: p.Merges, Merged: p.Merged, Splits: p.Splits, Parted: p.Parted,
		Joined: h.recordNames(st, p.MergeSamples), Divided: h.recordNames(st, p.SplitSamples),
	}, nil
}

// defaultPhoneRegion is that of identity.phone_region.
const defaultPhoneRegion = "RU"

// refuseRules says what the configuration's own check would.
func refuseRules(st *state, rules config.Identity) error {
	for _, kind := range rules.Match {
		if kind != identity.EmailKind && kind != identity.PhoneKind {
			return fmt.Errorf("%w: identity.match: use email, phone", api.ErrRefused)
		}
	}
	if !slices.Contains([]config.Branches{"", config.BranchesTogether, config.BranchesApart}, rules.Branches) {
		return fmt.Errorf("%w: identity.branches: use together or apart", api.ErrRefused)
	}
	for _, ref := range rules.StrongStreams {
		if _, known := st.byName[ref.Connection]; !known {
			return fmt.Errorf("%w: identity.strong: there is no connection %s", api.ErrRefused, ref.Connection)
		}
	}
	return nil
}

func (h *Hub) recordNames(st *state, samples [][]store.RecordKey) [][]string {
	all := make([][]string, 0, len(samples))
	for _, sample := range samples {
		names := make([]string, 0, len(sample))
		for _, key := range sample {
			names = append(names, h.connectionName(st.ws.ID, key.Connection)+"."+key.Stream+"/"+key.Key)
		}
		all = append(all, names)
	}
	return all
}

// JunkIdentifiers implements api.Identities.
func (h *Hub) JunkIdentifiers(ctx context.Context, name string, least int) ([]api.JunkIdentifier, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, err
	}
	used, err := h.store.SharedIdentifiers(ctx, nil, st.ws.ID, least)
	if err != nil {
		return nil, fmt.Errorf("counting shared identifiers: %w", err)
	}
	stats := make([]identity.IdentifierStats, 0, len(used))
	matches := map[identity.IdentifierStats]bool{}
	for _, use := range used {
		stats = append(stats, use.IdentifierStats)
		matches[use.IdentifierStats] = use.Matches
	}
	all := []api.JunkIdentifier{}
	for _, junk := range identity.FindJunk(stats, identity.Shop{}) {
		all = append(all, api.JunkIdentifier{
			Kind: junk.Kind, Value: junk.Value, Reason: string(junk.Reason), Records: junk.Records, Names: junk.Names, Customers: junk.Customers, Ignored: !matches[junk.IdentifierStats],
		})
	}
	return all, nil
}
